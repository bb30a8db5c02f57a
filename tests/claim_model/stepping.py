"""Running a coroutine by hand: it goes on only when it is told to, and says what it waits for."""

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from tests.claim_model.kv import Get, Put


@types.coroutine
def ask(request: Get | Put) -> Generator[Get | Put, Any, Any]:
    """Wait for the answer to a request, whenever the explorer gives it."""
    return (yield request)


class HeldLoop:
    """As much of an event loop as waiting for an event, and sleeping, need; time passes when `wake` is called."""

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
        """Let the sleep end."""
        assert self._sleep
        self._sleep._run()


class Stepper:
    """A coroutine, stopped at whatever it waits for. What ends it with an error is raised by `go_on` and `fail`."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], loop: HeldLoop) -> None:
        self.request: Get | Put | None = None  # what it asks the bucket, if that is what it waits for
        self._coroutine = coroutine
        self._loop = loop
        self._future: asyncio.Future[Any] | None = None

    def go_on(self, answer: object = None) -> None:
        """Give the answer to its request, if it has one, and run for as long as there is nothing to wait for."""
        self._run(lambda: self._coroutine.send(answer))

    def fail(self, error: BaseException) -> None:
        """Raise an error where it waits."""
        self._run(lambda: self._coroutine.throw(error))

    def cancel(self) -> None:
        """End it, as the end of a session does."""
        with suppress(asyncio.CancelledError):
            self.fail(asyncio.CancelledError())

    def poll(self) -> None:
        """Go on if what it waits for has happened; not if that is an answer."""
        if self.request is None and self._future is not None and self._future.done():
            self.go_on()

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
    """Run a coroutine to its end that gives way to others, but waits for nothing."""
    with suppress(StopIteration):
        while coroutine.send(None) is None:
            pass
        raise AssertionError("it waits for something")
