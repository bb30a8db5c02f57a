"""Repeated measurements of Ikto and a reference: what is kept of them, and how much of it is noise. Pure."""

from collections.abc import Callable, Sequence
from math import hypot, sqrt
from statistics import median, quantiles
from typing import NamedTuple

from benchmarks.findings import Finding, Target, Unit

Statistic = Callable[[Sequence[float]], float]


def p99(values: Sequence[float]) -> float:
    """Return the value below which 99 % of them are; of less than a hundred, the largest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) * 99 // 100, len(ordered) - 1)]


class Pair(NamedTuple):
    """The values of each round, in the order of the rounds; `reference` is empty without one."""

    ikto: Sequence[float]
    reference: Sequence[float] = ()

    def finding(
        self,
        name: str,
        what: str,
        *,
        unit: Unit = "s",
        beside: str = "",
        missing: str = "",
        statistic: Statistic = median,
        target: Target | None = None,
    ) -> Finding:
        """Return the finding: `statistic` of each side.

        `median` suits what an agent waits for; `min` suits processor time, which other programs can only add to.
        """
        return Finding(
            name=name,
            what=what,
            unit=unit,
            ikto=statistic(self.ikto),
            reference=statistic(self.reference) if self.reference else None,
            beside=beside,
            missing=missing,
            noise=hypot(noise(self.ikto, statistic), noise(self.reference, statistic)),
            target=target,
        )


def noise(values: Sequence[float], statistic: Statistic = median) -> float:
    """Return by how much a statistic of such values differs by chance, as a share of it.

    Of a minimum it is the distance to the next value. Otherwise it is the standard error: half the interquartile range
    by the root of the number of values, which one outlier does not change. Less than two values show no noise: 0.
    """
    if len(values) < 2 or not statistic(values):
        return 0.0
    if statistic is min:
        lowest, second = sorted(values)[:2]
        return (second - lowest) / lowest
    first, _, third = quantiles(values, n=4, method="inclusive")
    return (third - first) / 2 / sqrt(len(values)) / statistic(values)
