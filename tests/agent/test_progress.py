"""Who waits for an agent learns of the claim of the present one, as long as it stands."""

from typing import Any

from ikto_core.agent.progress import AgentProgress
from ikto_core.mesh.records import record_key
from ikto_core.values.addressing import Prefix

KEY = record_key("fd10:1::/48")
ANOTHER: Any = object()  # nothing is asked of it


def test_a_claim_stands_until_its_record_does_no_more() -> None:
    progress = AgentProgress()
    progress.claim_changed(KEY)
    assert progress.claim
    assert progress.claim.subnet == Prefix.parse("fd10:1::/48")
    progress.claim_changed("")
    assert progress.claim is None


def test_an_agent_with_another_key_has_yet_to_claim() -> None:
    progress = AgentProgress()
    progress.claim_changed(KEY)
    progress.agent_started(ANOTHER)
    assert progress.claim is None
