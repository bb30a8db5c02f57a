"""Runs a call that may block for ever: the kernel may never answer a request about links."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class DaemonThread:
    """Runs one call at a time in a thread of its own, which the program does not wait for when it ends."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.is_blocked = False  # a call has not returned yet

    async def run(self, call: Callable[[], T], timeout_s: float) -> T:
        """Return the result of `call`, or raise what it raised.

        Raises TimeoutError after `timeout_s`, and at once while an earlier call is still blocked.
        """
        if self.is_blocked:
            raise TimeoutError("an earlier call is still blocked")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            outcome = _outcome(call)
            self.is_blocked = False
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(_settle, result, *outcome)

        self.is_blocked = True
        Thread(target=run, name=self._name, daemon=True).start()
        async with asyncio.timeout(timeout_s):
            return await result


def _outcome(call: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001 - raised where the call is awaited
        return None, error


def _settle(result: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if result.done():  # given up
        return
    if error:
        result.set_exception(error)
    else:
        result.set_result(value)
