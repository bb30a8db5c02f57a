"""Who waits for an agent learns of the claim of the present one, as long as it stands."""

from typing import Any

from ikto_core.agent.progress import Course
from ikto_core.mesh.records import record_key
from ikto_core.values.addressing import Prefix

KEY = record_key("fd10:1::/48")
ANOTHER: Any = object()  # nothing is asked of it


def test_a_claim_stands_until_its_record_does_no_more() -> None:
    course = Course()
    course.stands(KEY)
    assert course.claim
    assert course.claim.subnet == Prefix.parse("fd10:1::/48")
    course.stands("")
    assert course.claim is None


def test_an_agent_with_another_key_has_yet_to_claim() -> None:
    course = Course()
    course.stands(KEY)
    course.begins(ANOTHER)
    assert course.claim is None
