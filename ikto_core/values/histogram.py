"""Counts of durations by their size, as Prometheus has them. Pure."""

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """How many durations there were up to each bound.

    Args:
        bounds: Upper bounds in seconds, ascending and inclusive; larger durations count too.

    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)  # between two bounds each; the last above all
        self.sum_s = 0.0

    def observe(self, duration_s: float) -> None:
        """Count a duration; a negative one, of clocks that differ, counts as 0."""
        duration_s = max(duration_s, 0.0)
        self.counts[bisect_left(self.bounds, duration_s)] += 1
        self.sum_s += duration_s
