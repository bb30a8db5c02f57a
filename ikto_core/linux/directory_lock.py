"""A lock between programs that read a device, change what they read, and write it back."""

import asyncio
import fcntl
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from ikto_core.errors import BackendError

LIMIT_S = 20.0  # less than the half minute after which the core gives a call up
_PAUSE_S = 0.01


@asynccontextmanager
async def locked_directory(directory: Path) -> AsyncGenerator[None, None]:
    """Hold the lock of a directory (flock(2)): one backend at a time, also of other processes. Not reentrant.

    It leaves no file behind, and ends with the process. Raises BackendError if the directory can't be opened, or if
    another program holds the lock for 20 s.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise BackendError(
            f"{directory}: can't be used: {error.strerror}", hint=f"Create it: mkdir -p {directory}. Or run as root."
        ) from None
    try:
        await _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)  # which releases the lock


async def _lock(descriptor: int, directory: Path) -> None:
    try:
        async with asyncio.timeout(LIMIT_S):
            while not _is_locked(descriptor):  # noqa: ASYNC110 - a thread that waits would outlive a cancelled call
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise BackendError(
            f"{directory}: another program has held its lock for {LIMIT_S:.0f} s", hint=f"Find it: fuser -v {directory}"
        ) from None


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
