"""Leaves out a warning or an error that was logged within the last second, and counts it in the next one."""

import time
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

import structlog

EVERY_S = 1.0

VOLATILE = frozenset({"next_try_in_s", "timestamp", "count", "attempt"})
"""Members that differ from one line to the next for the same cause."""

MOST_CAUSES = 256
"""So many causes are remembered; with more, those of the last second are forgotten, and may be logged twice."""


class _Last(NamedTuple):
    at: float
    left_out: int = 0


class RepeatFilter:
    """A processor of structlog. One cause is an event with the same members."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[object, _Last] = {}

    def __call__(self, _logger: object, level: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Return the line, with `repeated` if others were left out before it. Raises DropEvent to leave it out."""
        if level not in ("warning", "error"):
            return line
        cause, now = _cause(line), self._clock()
        last = self._last.get(cause)
        if last and now < last.at + EVERY_S:
            self._last[cause] = _Last(last.at, last.left_out + 1)
            raise structlog.DropEvent
        if len(self._last) >= MOST_CAUSES:
            self._last.clear()
        self._last[cause] = _Last(now)
        if last and last.left_out:
            line["repeated"] = last.left_out
        return line


def _cause(line: MutableMapping[str, Any]) -> object:
    return tuple(sorted((name, str(value)) for name, value in line.items() if name not in VOLATILE))
