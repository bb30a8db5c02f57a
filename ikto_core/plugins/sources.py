"""Who brings plugins: entry points, and the distributions that they are of."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import NamedTuple

PROJECT = "ikto"
"""pluggy's project name, the entry-point group that plugins register in, and our own distribution."""


class Source(NamedTuple):
    """Who provides a plugin."""

    entry_point: str
    distribution: str
    version: str

    @classmethod
    def of(cls, entry_point: EntryPoint) -> "Source":
        """Return who provides what this entry point names."""
        return cls(entry_point.name, *_named(entry_point.dist))

    def blocked_by(self, blocked: Collection[str]) -> str | None:
        """Return which of these names is this entry point's or this distribution's (PEP 503); None: none of them."""
        ours = {self.entry_point, _normalised(self.distribution)}
        return next((name for name in blocked if name in ours or _normalised(name) in ours), None)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (entry point {self.entry_point!r})"


class Unreadable(NamedTuple):
    """A distribution whose entry points can't be read."""

    source: Source
    reason: str


def installed() -> Iterator[EntryPoint | Unreadable]:
    """Yield every installed entry point of the group `ikto`; broken metadata of one distribution harm no other."""
    try:
        yield from entry_points(group=PROJECT)
    except Exception:  # noqa: BLE001 - somebody's metadata, of whatever group, raise whatever a parser does: find out whose
        yield from _one_by_one(distributions())


def installed_by_others() -> list[EntryPoint]:
    """Return the entry points that are not of Ikto's own distribution. Imports none."""
    return [
        found for found in installed() if isinstance(found, EntryPoint) and Source.of(found).distribution != PROJECT
    ]


def _one_by_one(found: Iterable[Distribution]) -> Iterator[EntryPoint | Unreadable]:
    seen = set()
    for distribution in found:
        name, version = _named(distribution)
        if _normalised(name) in seen:  # as Python imports it: the first one on the path
            continue
        seen.add(_normalised(name))
        try:
            yield from distribution.entry_points.select(group=PROJECT)
        except Exception as error:  # noqa: BLE001 - as above
            reason = f"its entry points can't be read: {type(error).__name__}: {error}"
            yield Unreadable(Source(name, name, version), reason)


def _named(distribution: Distribution | None) -> tuple[str, str]:
    """Return a distribution's name and version, as far as its metadata can be read."""
    name = version = None
    if distribution is not None:
        with suppress(Exception):  # metadata that are damaged or not there
            name, version = distribution.name, distribution.version
    return name or "unknown", version or "unknown"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
