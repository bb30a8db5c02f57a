"""Keys with a common prefix are independent: changing one leaves the other unchanged."""

import pytest

from ikto_core.mesh.records import record_key
from ikto_core.store.bucket import Bucket

PREFIX_PAIRS = [("fd10::/12", "fd10::/120"), ("10.1.0.0/2", "10.1.0.0/24"), ("fd10:1::/48", "fd10:1:2::/48")]


def test_a_key_can_be_a_prefix_of_another() -> None:
    assert record_key("fd10::/120").startswith(record_key("fd10::/12"))


@pytest.mark.parametrize(("deleted", "stays"), PREFIX_PAIRS + [pair[::-1] for pair in PREFIX_PAIRS])
async def test_a_deletion_removes_the_named_key_and_no_other(bucket: Bucket, deleted: str, stays: str) -> None:
    deleted_key, other_key = record_key(deleted), record_key(stays)
    revision = await bucket.put(deleted_key, b"deleted", expected=0)
    await bucket.put(other_key, b"stays", expected=0)
    before = await bucket.get(other_key)
    await bucket.put(deleted_key, None, expected=revision)
    assert before
    assert await bucket.get(other_key) == before
    page = await bucket.page(revision)
    assert {message.key: message.entry.value for message in page.messages} == {deleted_key: None, other_key: b"stays"}


@pytest.mark.parametrize(("changes", "stays"), PREFIX_PAIRS + [pair[::-1] for pair in PREFIX_PAIRS])
async def test_a_write_is_checked_against_the_revision_of_its_own_key(bucket: Bucket, changes: str, stays: str) -> None:
    """Not against that of a key with the same prefix that was written later."""
    revision = await bucket.put(record_key(changes), b"1", expected=0)
    await bucket.put(record_key(stays), b"stays", expected=0)
    await bucket.put(record_key(changes), b"2", expected=revision)
    entry = await bucket.get(record_key(stays))
    assert entry
    assert entry.value == b"stays"
