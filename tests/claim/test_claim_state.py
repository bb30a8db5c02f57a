"""Since when our claim stands, and what of the bucket speaks against it."""

from ikto_core.claim.claim_state import ClaimState
from ikto_core.mesh.view import Entry


def test_revisions_are_compared_within_one_stream_only() -> None:
    claim_state = ClaimState()
    assert claim_state.held("key", 7, "made on Monday")
    assert not claim_state.is_older_than(Entry(6, b""), "made on Monday")
    assert claim_state.is_older_than(Entry(8, b""), "made on Monday")
    assert claim_state.is_older_than(Entry(2, b""), "made on Tuesday")


def test_a_record_has_moved_when_it_stands_under_another_key_or_had_fallen() -> None:
    claim_state = ClaimState()
    assert claim_state.held("key", 7, "")
    assert not claim_state.held("key", 8, "")
    assert claim_state.held("other", 9, "")
    claim_state.released()
    assert claim_state.held("other", 10, "")
