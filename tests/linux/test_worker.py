"""The worker thread for blocking calls: order, errors, cancellation and shutdown."""

import asyncio
import sys
import threading
import weakref
from functools import partial
from threading import Event

import pytest

from ikto_core.linux.worker import Worker, open_worker

PATIENCE_S = 90


class Gate:
    """A call that blocks until `open` is called."""

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


async def blocked_call(worker: Worker, gate: Gate) -> "asyncio.Task[str]":
    """Return a call that has started and blocks."""
    task = asyncio.ensure_future(worker.run(gate))
    assert await asyncio.to_thread(gate.begun.wait, PATIENCE_S)
    return task


def refuse() -> None:
    raise OSError(1, "no")


async def test_a_call_runs_in_another_thread_and_returns_its_result_or_error() -> None:
    async with open_worker() as worker:
        assert await worker.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(OSError, match="no"):
            await worker.run(refuse)
        with pytest.raises(SystemExit):
            await worker.run(sys.exit)
        assert await worker.run(lambda: 7) == 7


async def test_calls_run_one_by_one_in_order() -> None:
    order: list[int] = []
    async with open_worker() as worker:
        gate = Gate()
        first = await blocked_call(worker, gate)
        others = [asyncio.ensure_future(worker.run(partial(order.append, number))) for number in range(9)]
        await asyncio.sleep(0)
        assert not order
        gate.open()
        await asyncio.gather(first, *others)
    assert order == list(range(9))


async def test_a_call_cancelled_before_it_starts_is_skipped() -> None:
    done: list[str] = []
    async with open_worker() as worker:
        gate = Gate()
        first = await blocked_call(worker, gate)
        second = asyncio.ensure_future(worker.run(lambda: done.append("second")))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        gate.open()
        assert await first == "through"
        await worker.run(lambda: done.append("third"))
    assert done == ["third"]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_cancelled_call_that_has_started_ends_before_the_next_starts(fails: bool) -> None:
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


async def test_the_context_waits_for_the_running_call() -> None:
    gate = Gate()
    async with open_worker() as worker:
        task = await blocked_call(worker, gate)
        task.cancel()
        asyncio.get_running_loop().call_later(0.05, gate.open)
    assert gate.ended
    assert not any(thread.name == "wireguard" for thread in threading.enumerate())


async def test_a_call_after_the_end_is_an_error() -> None:
    async with open_worker() as worker:
        pass
    with pytest.raises(RuntimeError, match="has been stopped"):
        await worker.run(int)


async def test_an_idle_thread_keeps_no_result_alive() -> None:
    async with open_worker() as worker:
        result = weakref.ref(await worker.run(Gate))
        async with asyncio.timeout(PATIENCE_S):  # the thread drops its reference a moment later
            while result():
                await asyncio.sleep(0.01)
