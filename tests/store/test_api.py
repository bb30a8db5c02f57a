"""A malformed answer on NATS raises UnreadableError and no other error; Debouncer merges triggers."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.store import api
from ikto_core.store.api import UnreadableError
from ikto_core.store.pushes import Debouncer

JUNK = [b"", b"junk", b"[]", b"{", b"\xff", b'{"seq":"x"}', b"[" * 100_000, b'{"created":1}']


@pytest.mark.parametrize("data", JUNK)
def test_a_malformed_answer_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        api.read_stream_info(data)


@given(st.binary())
def test_no_bytes_raise_another_error(data: bytes) -> None:
    for read in (api.read_reply, api.read_stream_info, api.read_json_object):
        try:
            read(data)
        except UnreadableError as error:
            assert "can't be read" in str(error)  # noqa: PT017 - some random bytes are a valid answer


async def test_many_triggers_cause_few_calls_and_the_last_one_is_never_lost() -> None:
    calls: list[int] = []
    done = asyncio.Event()

    def call() -> None:
        calls.append(len(triggered))
        if len(calls) == 2:
            done.set()

    triggered: list[int] = []
    debouncer = Debouncer(call, lambda: 0.01)
    for number in range(100):
        triggered.append(number)
        debouncer.trigger()
    await asyncio.wait_for(done.wait(), 5)
    assert calls == [100, 100], "one call for the first trigger, one more for those during the delay"
    debouncer.trigger()
    done.clear()
    while len(calls) < 3:
        await asyncio.sleep(0)
