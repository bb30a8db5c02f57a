"""Anybody may answer on NATS: what is not of the API's form is an error like any other, and nothing else."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.store import api
from ikto_core.store.api import UnreadableError
from ikto_core.store.pushes import Hints

JUNK = [b"", b"junk", b"[]", b"{", b"\xff", b'{"seq":"x"}', b"[" * 100_000, b'{"created":1}']


@pytest.mark.parametrize("data", JUNK)
def test_an_answer_that_is_none_can_not_be_read(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        api.read_stream_info(data)


@given(st.binary())
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    for read in (api.read_reply, api.read_stream_info, api.read_members):
        try:
            read(data)
        except UnreadableError as error:
            assert "can't be read" in str(error)  # noqa: PT017 - most bytes are no answer, some are


@pytest.mark.parametrize(
    "headers", [None, {}, {"Nats-Subject": "$KV.b.x"}, {"Nats-Subject": "$KV.b.x", "Nats-Sequence": "many"}]
)
def test_a_message_without_its_headers_can_not_be_read(headers: dict[str, str] | None) -> None:
    with pytest.raises(UnreadableError):
        api.read_message(headers, b"", "$KV.b.")


async def test_many_hints_are_few_looks_and_the_last_hint_is_never_lost() -> None:
    looks: list[int] = []
    done = asyncio.Event()

    def look() -> None:
        looks.append(len(hinted))
        if len(looks) == 2:
            done.set()

    hinted: list[int] = []
    hints = Hints(look, lambda: 0.01)
    for number in range(100):
        hinted.append(number)
        hints.hint()
    await asyncio.wait_for(done.wait(), 5)
    assert looks == [100, 100], "one for the first, one more for those that came while it was due"
    hints.hint()
    done.clear()
    while len(looks) < 3:
        await asyncio.sleep(0)
