"""Under which KV key this run has its record."""

from ikto_core.claim.claim_state import ClaimState


def test_held_reports_a_move_for_another_key_and_after_a_release() -> None:
    told: list[str] = []
    claim_state = ClaimState(told.append)
    assert claim_state.held("key")
    assert not claim_state.held("key")
    assert claim_state.held("other")
    claim_state.released()
    assert claim_state.held("other")
    assert told == ["key", "other", "", "other"]
