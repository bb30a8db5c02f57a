"""The netlink backend's thread: order, errors, cancellation, and its end."""

import asyncio
import sys
import threading
import weakref
from functools import partial
from threading import Event

import pytest

from ikto_backends.netlink.worker import Worker, open_worker

PATIENCE_S = 30


class Gate:
    """A call that ends when it is let through."""

    def __init__(self) -> None:
        self.begun, self._open = Event(), Event()
        self.ended = False

    def __call__(self) -> str:
        self.begun.set()
        assert self._open.wait(PATIENCE_S)
        self.ended = True
        return "through"

    def open(self) -> None:
        self._open.set()


async def held(worker: Worker, gate: Gate) -> "asyncio.Task[str]":
    """Return a call that has begun and does not end yet."""
    task = asyncio.ensure_future(worker.run(gate))
    assert await asyncio.to_thread(gate.begun.wait, PATIENCE_S)
    return task


def refuse() -> None:
    raise OSError(1, "no")


async def test_a_call_runs_beside_the_event_loop_and_gives_its_result_or_its_error() -> None:
    async with open_worker() as worker:
        assert await worker.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(OSError, match="no"):
            await worker.run(refuse)
        with pytest.raises(SystemExit):
            await worker.run(sys.exit)
        assert await worker.run(lambda: 7) == 7


async def test_calls_are_done_one_by_one_in_their_order() -> None:
    order: list[int] = []
    async with open_worker() as worker:
        gate = Gate()
        first = await held(worker, gate)
        others = [asyncio.ensure_future(worker.run(partial(order.append, number))) for number in range(9)]
        await asyncio.sleep(0)
        assert not order
        gate.open()
        await asyncio.gather(first, *others)
    assert order == list(range(9))


async def test_a_call_that_was_cancelled_before_its_turn_is_left_out() -> None:
    done: list[str] = []
    async with open_worker() as worker:
        gate = Gate()
        first = await held(worker, gate)
        second = asyncio.ensure_future(worker.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        gate.open()
        assert await first == "through"
        await worker.run(lambda: done.append("third"))
    assert done == ["third"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_call_that_was_cancelled_is_over_before_the_next_begins(fails: bool) -> None:
    async with open_worker() as worker:
        gate = Gate()

        def call() -> None:
            gate()
            if fails:
                refuse()

        task = asyncio.ensure_future(worker.run(call))
        assert await asyncio.to_thread(gate.begun.wait, PATIENCE_S)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        following = asyncio.ensure_future(worker.run(lambda: gate.ended))
        await asyncio.sleep(0)
        gate.open()
        assert await following


async def test_the_context_ends_once_the_last_call_is_over() -> None:
    gate = Gate()
    async with open_worker() as worker:
        task = await held(worker, gate)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, gate.open)
    assert gate.ended
    assert not any(thread.name == "wireguard" for thread in threading.enumerate())


async def test_what_is_asked_for_after_the_end_is_an_error() -> None:
    async with open_worker() as worker:
        pass
    with pytest.raises(RuntimeError, match="has ended"):
        await worker.run(int)


async def test_a_waiting_thread_holds_no_results() -> None:
    async with open_worker() as worker:
        seen = weakref.ref(await worker.run(Gate))
        async with asyncio.timeout(PATIENCE_S):  # the thread may just be about to let go
            while seen():
                await asyncio.sleep(0.01)
