"""Keeps a cause that repeats, such as junk that somebody publishes, from filling the log."""

LINE_EVERY_S = 60.0
MAX_CAUSES = 100


class RepeatFilter:
    """Says when a cause is due for a log line: the first time, and then at most once in LINE_EVERY_S."""

    def __init__(self) -> None:
        self._causes: dict[str, tuple[float, int]] = {}  # when its last line was due, and how often it occurred since

    def due(self, cause: str, now: float) -> int:
        """Count a cause; return how often it occurred since its last line if a line is due, else 0.

        Args:
            cause: What to tell apart. After MAX_CAUSES different ones, all further ones count as one.
            now: A monotonic time, in seconds.

        """
        if cause not in self._causes and len(self._causes) >= MAX_CAUSES:
            cause = ""
        last, count = self._causes.get(cause, (float("-inf"), 0))
        due = now - last >= LINE_EVERY_S
        self._causes[cause] = (now, 0) if due else (last, count + 1)
        return count + 1 if due else 0
