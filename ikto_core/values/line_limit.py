"""At most one log line a second for one cause, and a count of those left out. Pure."""

from collections.abc import Hashable, Iterable
from math import inf
from typing import Generic, NamedTuple, TypeVar

C = TypeVar("C", bound=Hashable)
L = TypeVar("L")

EVERY_S = 1.0
"""The shortest time between two lines for one cause."""


class LeftOut(NamedTuple, Generic[L]):
    """Lines for one cause that were not written."""

    last: L
    number: int  # at least 1


class _Window(NamedTuple, Generic[L]):
    """The time after a line in which none for the same cause is written."""

    ends_at: float
    last: L | None = None  # of the lines left out
    number: int = 0


class LineLimit(Generic[C, L]):
    """Which lines may be written. Times are those of a clock that never goes back.

    It keeps one window for each cause of the last second, so the number of causes bounds its memory.
    """

    def __init__(self, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._windows: dict[C, _Window[L]] = {}

    @property
    def due_at(self) -> float:
        """When `due` has something to return; infinity: nothing was left out."""
        return min((window.ends_at for window in self._windows.values() if window.number), default=inf)

    def admit(self, cause: C, line: L, now: float) -> bool:
        """Return whether to write a line now. One that is not written is counted for `due`."""
        window = self._windows.get(cause)
        if window is None or (now >= window.ends_at and not window.number):
            self._windows[cause] = _Window(now + self._every_s)
            return True
        self._windows[cause] = _Window(window.ends_at, line, window.number + 1)
        return False

    def due(self, now: float) -> Iterable[LeftOut[L]]:
        """Return what was left out in the windows that have ended, to be written now: it opens new windows."""
        found = []
        for cause, (ends_at, last, number) in list(self._windows.items()):
            if now >= ends_at:
                del self._windows[cause]
                if last is not None:
                    found.append(LeftOut(last, number))
                    self._windows[cause] = _Window(now + self._every_s)
        return found
