"""Whether the claim is held, under which KV key, and since which revision."""

from ikto_core.claim.claim_state import ClaimState
from ikto_core.mesh.view import Entry


def test_revisions_are_compared_only_within_one_stream() -> None:
    claim_state = ClaimState()
    assert claim_state.held("key", 7, "created on Monday")
    assert not claim_state.is_older_than(Entry(6, b""), "created on Monday")
    assert claim_state.is_older_than(Entry(8, b""), "created on Monday")
    assert claim_state.is_older_than(Entry(2, b""), "created on Tuesday")


def test_held_reports_a_move_for_another_key_and_after_a_release() -> None:
    claim_state = ClaimState()
    assert claim_state.held("key", 7, "")
    assert not claim_state.held("key", 8, "")
    assert claim_state.held("other", 9, "")
    claim_state.released()
    assert claim_state.held("other", 10, "")
