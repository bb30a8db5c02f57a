"""A cancellation that nats-py, or a TaskGroup, swallowed is still one."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raise CancelledError if this task is cancelled within, although what it awaits there ends otherwise.

    nats-py waits by `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that arrives together with the
    result (CPython issue 86296); its `close` and its flushing ignore one. An agent would go on when it is told to stop.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
