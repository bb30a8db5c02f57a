"""A cancellation that nats-py swallowed is still one."""

import asyncio


def stay_cancelled() -> None:
    """Raise CancelledError if this task was cancelled, and what it awaited did not end by it.

    nats-py waits by `asyncio.wait_for`, which before Python 3.12 forgets a cancellation that arrives together with the
    result (CPython issue 86296); and its `close` ignores one. An agent would go on although it was told to stop.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
