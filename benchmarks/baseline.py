"""What got slower or bigger since a stored run, by more than the noise. Pure."""

from collections.abc import Iterable, Mapping
from math import hypot, inf
from typing import NamedTuple

from benchmarks.findings import Row, Unit

LEAST: Mapping[Unit, float] = {"s": 0.2, "cores": 0.2, "B": 0.05, "count": 0.0}
"""Changes up to this share are never reported: rounds within a run don't show how runs differ."""

NOISE_FACTOR = 3
"""A change is beyond the noise if it is so many times the noise of both rows."""

_WORDS: Mapping[Unit, tuple[str, str]] = {
    "s": ("slower", "quicker"),
    "cores": ("slower", "quicker"),
    "B": ("bigger", "smaller"),
    "count": ("more", "fewer"),
}


class Change(NamedTuple):
    """A row differs from the baseline by more than the noise."""

    name: str
    worse: bool
    word: str  # "slower", "smaller", …
    share: float  # 0.5: half as much again; -0.5: half of it; infinite: it was zero
    noise: float  # the share that would not have been reported

    def __str__(self) -> str:
        return f"{self.word}: {self.share:+.0%} (noise {self.noise:.0%})"


def changes(rows: Iterable[Row], baseline: Iterable[Row]) -> Mapping[str, Change]:
    """Return what changed, by the name of the row. Rows that can't be compared are left out, as new ones are."""
    before = {row.name: row for row in baseline}
    found = (change(row, before[row.name]) for row in rows if row.name in before)
    return {one.name: one for one in found if one}


def change(now: Row, before: Row) -> Change | None:
    """Return by how much a row changed; None: not beyond the noise, or the two can't be compared.

    Bytes and counts are compared as they are. Times are compared as ratios to what was measured beside them, which
    holds on any machine; without such a reference only on the same machine.
    """
    if now.unit != before.unit:
        return None
    values = _comparable(now, before)
    if values is None:
        return None
    new, old = values
    noise = max(LEAST[now.unit], NOISE_FACTOR * hypot(now.noise, before.noise))
    share = new / old - 1 if old else (inf if new else 0.0)
    if not abs(share) > noise:
        return None
    worse = share > 0
    return Change(now.name, worse, _WORDS[now.unit][not worse], share, noise)


def _comparable(now: Row, before: Row) -> tuple[float, float] | None:
    if now.unit in {"B", "count"}:
        return now.ikto, before.ikto
    if _measured_ratio(now) and _measured_ratio(before):
        assert now.ratio is not None
        assert before.ratio is not None
        return now.ratio, before.ratio
    return (now.ikto, before.ikto) if now.machine == before.machine else None


def _measured_ratio(row: Row) -> bool:
    return row.ratio is not None and not row.quoted
