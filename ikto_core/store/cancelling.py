"""Raises a cancellation that nats-py or a TaskGroup has swallowed."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def preserve_cancellation() -> Iterator[None]:
    """Raise CancelledError if the task was cancelled inside the block, even if the code inside swallowed it.

    nats-py waits with `asyncio.wait_for`. Before Python 3.12 that drops a cancellation which arrives together with the
    result (CPython issue 86296), and nats-py's `close` and `flush` ignore one. Without this the agent might not stop.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
