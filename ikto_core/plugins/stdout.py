"""Keeps standard output for Ikto's own output, such as JSON, while plugins are imported."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what the block, or a child process, writes to standard output to standard error: by name or by number."""
    saved = _redirected()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)


def _redirected() -> int | None:
    """Let file descriptor 1 be another 2, and return a copy of what it was; None if one of them is closed."""
    with suppress(OSError, ValueError):  # ValueError: the stream is closed
        if sys.__stdout__:
            sys.__stdout__.flush()
        os.fstat(2)
        saved = os.dup(1)
        os.dup2(2, 1)
        return saved
    return None
