"""Limits work by counting lines of Python, not time: endless loops stop at the same line on every machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TooMuchWorkError(AssertionError):
    """More lines of Python were run than allowed; the code may loop forever."""


@contextmanager
def line_limit(lines: int) -> Iterator[None]:
    """Raise TooMuchWorkError when the calls in this context have run more than `lines` lines of Python.

    Code in C counts as the line that calls it. Debuggers and coverage tools are suspended in the context.
    """
    left = lines

    def count(_frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function returns one
        nonlocal left
        left -= 1
        if left < 0:
            raise TooMuchWorkError(f"not finished after {lines} lines of Python")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)
