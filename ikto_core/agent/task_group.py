"""A TaskGroup that raises one error, and not a group of them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ikto_core.errors import first_cause


@asynccontextmanager
async def task_group(cause: Callable[[], BaseException | None] = lambda: None) -> AsyncIterator[asyncio.TaskGroup]:
    """Yield a TaskGroup that raises `cause`, or else its first error, and not a group of errors."""
    try:
        async with asyncio.TaskGroup() as tasks:
            yield tasks
    except BaseExceptionGroup as group:
        raise cause() or first_cause(group) from group
