"""An executor whose threads nobody waits for: a thread that is blocked for ever must not keep a test from ending."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from weakref import WeakSet

EXIT_AFTER_S = 10.0

_prepared: "WeakSet[asyncio.AbstractEventLoop]" = WeakSet()
_exits: list[threading.Thread] = []


class DaemonExecutor(ThreadPoolExecutor):
    """Run each call in a daemon thread of its own."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":  # noqa: ANN401 - as in the base
        """Start a thread that calls `fn`, and return its future."""
        future: Future[Any] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - raised where the result is awaited
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=run, name="ikto-kit-call", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: a call that still runs is not waited for."""


def use_daemon_threads() -> None:
    """Give the running loop an executor that can't keep it from closing."""
    loop = asyncio.get_running_loop()
    if loop not in _prepared:
        _prepared.add(loop)
        loop.set_default_executor(DaemonExecutor(max_workers=1))


def exit_despite_threads() -> None:
    """End the process, with exit code 1, if it is still there EXIT_AFTER_S after its main thread has ended.

    Called once a call hangs: the interpreter would wait for ever for a thread that is blocked.
    """

    def leave() -> None:
        threading.main_thread().join()
        threading.Event().wait(EXIT_AFTER_S)
        os._exit(1)

    if not _exits:
        _exits.append(threading.Thread(target=leave, name="ikto-kit-exit", daemon=True))
        _exits[0].start()
