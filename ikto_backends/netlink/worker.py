"""A thread that does what blocks, one call after another, while the event loop goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Run calls in their order: one cancelled before its turn is left out, one that has begun ends before the next.

    As an executor of one thread does, but with one queue and one wake-up a call. A hop through `run_in_executor` takes
    a third longer, and is the largest part of what it costs to write one peer.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = False
        self._asked: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns, or raise what it raises; RuntimeError after the end."""
        if self._ended:
            raise RuntimeError("the thread has ended, or is about to")
        done: asyncio.Future[T] = self._loop.create_future()
        self._asked.put((done, call))
        return await done

    def work(self) -> None:
        """Do what was asked for, until the end; this is the thread."""
        while asked := self._asked.get():
            self._do(*asked)
            del asked  # while it waits, the thread holds nobody's results

    def end(self) -> None:
        """Let the thread end once it has done what it was asked for before."""
        self._ended = True
        self._asked.put(None)

    def _do(self, done: "asyncio.Future[T]", call: Callable[[], T]) -> None:
        if done.cancelled():
            return
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - it is for whoever waits
            self._loop.call_soon_threadsafe(_fail, done, error)
        else:
            self._loop.call_soon_threadsafe(_succeed, done, result)


@asynccontextmanager
async def open_worker() -> AsyncIterator[Worker]:
    """Yield a worker, whose thread ends with the context: what it had begun is over by then."""
    worker = Worker()
    thread = Thread(target=worker.work, name="wireguard", daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.end()
        await asyncio.to_thread(thread.join)


def _succeed(done: "asyncio.Future[T]", result: T) -> None:
    if not done.cancelled():
        done.set_result(result)


def _fail(done: "asyncio.Future[Any]", error: BaseException) -> None:
    if not done.cancelled():
        done.set_exception(error)
