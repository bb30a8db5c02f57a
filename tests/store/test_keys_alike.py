"""Keys that begin alike are keys of their own: what happens to one leaves the other alone."""

import pytest

from ikto_core.mesh.records import record_key
from ikto_core.store.bucket import Bucket

ALIKE = [("fd10::/12", "fd10::/120"), ("10.1.0.0/2", "10.1.0.0/24"), ("fd10:1::/48", "fd10:1:2::/48")]


def test_a_key_may_be_the_beginning_of_another() -> None:
    assert record_key("fd10::/120").startswith(record_key("fd10::/12"))


@pytest.mark.parametrize(("goes", "stays"), ALIKE + [pair[::-1] for pair in ALIKE])
async def test_a_deletion_takes_the_key_that_it_names_and_no_other(bucket: Bucket, goes: str, stays: str) -> None:
    going, staying = record_key(goes), record_key(stays)
    revision = await bucket.put(going, b"goes", expected=0)
    await bucket.put(staying, b"stays", expected=0)
    before = await bucket.get(staying)
    await bucket.put(going, None, expected=revision)
    assert before
    assert await bucket.get(staying) == before
    page = await bucket.page(revision)
    assert {message.key: message.entry.value for message in page.messages} == {going: None, staying: b"stays"}


@pytest.mark.parametrize(("changes", "stays"), ALIKE + [pair[::-1] for pair in ALIKE])
async def test_a_write_is_guarded_by_its_own_keys_revision(bucket: Bucket, changes: str, stays: str) -> None:
    """Not by that of a key that begins alike, and was written later."""
    revision = await bucket.put(record_key(changes), b"1", expected=0)
    await bucket.put(record_key(stays), b"stays", expected=0)
    await bucket.put(record_key(changes), b"2", expected=revision)
    entry = await bucket.get(record_key(stays))
    assert entry
    assert entry.value == b"stays"
