"""A worker thread that runs blocking calls one after another, so that the event loop is not blocked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Run calls in order. A call that is cancelled before it starts is skipped; one that has started runs to its end.

    Same as an executor with one thread, but with one queue and one wake-up for each call. `run_in_executor` takes a
    third longer, and the switch of threads is the largest part of the time that writing one peer takes.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = False
        self._queue: SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = SimpleQueue()

    async def run(self, call: Callable[[], T]) -> T:
        """Return what the call returns, or raise what it raises. RuntimeError once the worker has closed."""
        if self._stopped:
            raise RuntimeError("the worker thread has been stopped")
        future: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((future, call))
        return await future

    def _run_queue(self) -> None:
        """Run the queued calls until `_stop`. This is the thread's main function."""
        while queued := self._queue.get():
            self._run_one(*queued)
            del queued  # keep no result alive while the thread waits for the next call

    def _stop(self) -> None:
        """End the thread once the calls that are already queued are done."""
        self._stopped = True
        self._queue.put(None)

    def _run_one(self, future: "asyncio.Future[T]", call: Callable[[], T]) -> None:
        if future.cancelled():
            return
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - passed on to the caller
            self._loop.call_soon_threadsafe(_fail, future, error)
        else:
            self._loop.call_soon_threadsafe(_succeed, future, result)


@asynccontextmanager
async def open_worker() -> AsyncIterator[Worker]:
    """Yield a worker. When the context ends, its running call has ended and so has its thread."""
    worker = Worker()
    thread = Thread(target=worker._run_queue, name="wireguard", daemon=True)  # noqa: SLF001 - not for authors
    thread.start()
    try:
        yield worker
    finally:
        worker._stop()  # noqa: SLF001 - not for authors
        await asyncio.to_thread(thread.join)


def _succeed(future: "asyncio.Future[T]", result: T) -> None:
    if not future.cancelled():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: BaseException) -> None:
    if not future.cancelled():
        future.set_exception(error)
