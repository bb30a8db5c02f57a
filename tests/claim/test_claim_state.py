"""Since when our claim stands, and what of the bucket speaks against it."""

from ikto_core.claim.claim_state import Standing
from ikto_core.mesh.view import Entry


def test_revisions_are_compared_within_one_stream_only() -> None:
    standing = Standing()
    assert standing.stands("key", 7, "made on Monday")
    assert not standing.precedes(Entry(6, b""), "made on Monday")
    assert standing.precedes(Entry(8, b""), "made on Monday")
    assert standing.precedes(Entry(2, b""), "made on Tuesday")


def test_a_record_has_moved_when_it_stands_under_another_key_or_had_fallen() -> None:
    standing = Standing()
    assert standing.stands("key", 7, "")
    assert not standing.stands("key", 8, "")
    assert standing.stands("other", 9, "")
    standing.falls()
    assert standing.stands("other", 10, "")
