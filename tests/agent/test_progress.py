"""The progress of an agent has the claim of the present run while it is held."""

from typing import Any

from ikto_core.agent.progress import AgentProgress
from ikto_core.mesh.records import record_key
from ikto_core.values.addressing import Prefix

KEY = record_key("fd10:1::/48")
REPORT: Any = object()  # not used


def test_a_claim_is_held_until_it_is_released() -> None:
    progress = AgentProgress()
    progress.claim_changed(KEY)
    assert progress.claim
    assert progress.claim.subnet == Prefix.parse("fd10:1::/48")
    progress.claim_changed("")
    assert progress.claim is None


def test_a_restarted_agent_holds_no_claim_yet() -> None:
    progress = AgentProgress()
    progress.claim_changed(KEY)
    progress.agent_started(REPORT)
    assert progress.claim is None
