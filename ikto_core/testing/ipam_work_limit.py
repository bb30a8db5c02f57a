"""Work counted, not timed: what would take for ever is stopped, at the same line on every machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class TooMuchWorkError(AssertionError):
    """More lines of Python were run than were allowed; who ran them may never have ended."""


@contextmanager
def line_limit(lines: int) -> Iterator[None]:
    """Allow whatever is called inside so many lines of Python; TooMuchWorkError at the next one.

    What runs in C counts as the line that calls it. A debugger or a coverage tool rests meanwhile.
    """
    left = lines

    def count(_frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function returns one
        nonlocal left
        left -= 1
        if left < 0:
            raise TooMuchWorkError(f"it is not done after {lines} lines of Python")
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)
