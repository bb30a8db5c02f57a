"""Runs a coroutine step by step, without an event loop, and shows what it waits for."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from tests.claim_model.kv import Get, Put


@types.coroutine
def ask(request: Get | Put) -> Generator[Get | Put, Any, Any]:
    """Wait until the explorer answers a request; return the answer."""
    return (yield request)


class SteppedLoop:
    """The part of an event loop that events and sleeping need; a sleep ends when `wake` is called."""

    def __init__(self) -> None:
        self._sleep: asyncio.Handle | None = None

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def call_later(self, _delay_s: float, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        self._sleep = asyncio.Handle(callback, args, self)  # type: ignore[arg-type]
        return self._sleep

    def get_debug(self) -> bool:
        return False

    @property
    def sleeping(self) -> bool:
        return self._sleep is not None and not self._sleep.cancelled()

    def wake(self) -> None:
        """End the sleep."""
        assert self._sleep
        self._sleep._run()


class Stepper:
    """A coroutine that is stopped whenever it waits. `resume` and `fail` raise the error that ends it."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: SteppedLoop) -> None:
        self.request: Get | Put | None = None  # the request that it waits for; None: it waits for something else
        self._coroutine = coroutine
        self._loop = loop
        self._future: asyncio.Future[Any] | None = None

    def resume(self, answer: object = None) -> None:
        """Pass the answer to its request, if there is one, and run until it waits."""
        self._run(lambda: self._coroutine.send(answer))

    def fail(self, error: BaseException) -> None:
        """Raise an error where it waits, and run until it waits again."""
        self._run(lambda: self._coroutine.throw(error))

    def cancel(self) -> None:
        """Cancel it, as the end of a session does."""
        with suppress(asyncio.CancelledError):
            self.fail(asyncio.CancelledError())

    def poll(self) -> None:
        """Run on if the future that it waits for is done."""
        if self.request is None and self._future is not None and self._future.done():
            self.resume()

    def _run(self, step: Callable[[], object]) -> None:
        asyncio._set_running_loop(self._loop)  # type: ignore[arg-type]
        try:
            waits_for = step()
            while waits_for is None or (isinstance(waits_for, asyncio.Future) and waits_for.done()):
                waits_for = self._coroutine.send(None)
        finally:
            asyncio._set_running_loop(None)
        self.request = waits_for if isinstance(waits_for, Get | Put) else None
        self._future = waits_for if isinstance(waits_for, asyncio.Future) else None


def run_at_once(coroutine: Coroutine[Any, Any, object]) -> None:
    """Run a coroutine, which may yield to the event loop but waits for nothing, to its end."""
    with suppress(StopIteration):
        while coroutine.send(None) is None:
            pass
        raise AssertionError("the coroutine waits for something")
