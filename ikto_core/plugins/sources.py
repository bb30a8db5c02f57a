"""Installed entry points of Ikto's groups, and the distributions that provide them. Nothing here imports a plugin."""

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from typing import NamedTuple

PROJECT = "ikto"
"""pluggy's project name, the entry-point group of plugins of any kind, and the name of Ikto's own distribution."""

COMMAND_GROUP = "ikto.commands"
GROUPS = frozenset({PROJECT, "ikto.backends", "ikto.ipam", "ikto.observers", "ikto.checks", COMMAND_GROUP})
"""The groups of entry points. Those of one kind name its plugins; what `ikto` has is known after an import only."""


class Source(NamedTuple):
    """Where a plugin comes from: entry point, distribution, version."""

    entry_point: str
    distribution: str
    version: str

    @classmethod
    def of(cls, entry_point: EntryPoint) -> "Source":
        """Return the source of an entry point."""
        return cls(entry_point.name, *_name_and_version(entry_point.dist))

    def blocked_by(self, blocked: Collection[str]) -> str | None:
        """Return the first name in `blocked` that matches the entry point or, as PEP 503 compares, the distribution."""
        own = {self.entry_point, _normalised(self.distribution)}
        return next((name for name in blocked if name in own or _normalised(name) in own), None)

    def __str__(self) -> str:
        return f"{self.distribution} {self.version} (entry point {self.entry_point!r})"


class UnreadableMetadata(NamedTuple):
    """A distribution whose entry points can't be read."""

    source: Source
    reason: str


def installed_entry_points() -> Iterator[EntryPoint | UnreadableMetadata]:
    """Yield every installed entry point of Ikto's groups, in spite of distributions with broken metadata."""
    try:
        found = entry_points()
        yield from [entry for group in sorted(GROUPS) for entry in found.select(group=group)]
    except Exception:  # noqa: BLE001 - one distribution's broken metadata may raise anything: find out which one
        yield from _by_distribution(distributions())


def third_party_entry_points() -> list[EntryPoint]:
    """Return the entry points that Ikto's own distribution does not provide, without importing them."""
    found = (entry for entry in installed_entry_points() if isinstance(entry, EntryPoint))
    return [entry for entry in found if Source.of(entry).distribution != PROJECT]


def of_group(found: Iterable[EntryPoint], group: str, blocked: Collection[str] = ()) -> list[EntryPoint]:
    """Return the entry points of one group whose own names, and whose distributions, are not blocked."""
    return [entry for entry in found if entry.group == group and not Source.of(entry).blocked_by(blocked)]


def summary_of(entry_point: EntryPoint) -> str:
    """Return the one line with which a distribution describes itself; empty if it has none."""
    with suppress(Exception):  # the metadata is damaged or missing
        if entry_point.dist is not None:
            return " ".join(entry_point.dist.metadata["Summary"].split())
    return ""


def _by_distribution(found: Iterable[Distribution]) -> Iterator[EntryPoint | UnreadableMetadata]:
    seen = set()
    for distribution in found:
        name, version = _name_and_version(distribution)
        if _normalised(name) in seen:  # the first one on the path wins, as in Python's imports
            continue
        seen.add(_normalised(name))
        try:
            yield from [entry for entry in distribution.entry_points if entry.group in GROUPS]
        except Exception as error:  # noqa: BLE001 - as above
            reason = f"its entry points can't be read: {type(error).__name__}: {error}"
            yield UnreadableMetadata(Source(name, name, version), reason)


def _name_and_version(distribution: Distribution | None) -> tuple[str, str]:
    """Return a distribution's name and version; "unknown" for what its metadata does not say."""
    name = version = None
    if distribution is not None:
        with suppress(Exception):  # the metadata is damaged or missing
            name, version = distribution.name, distribution.version
    return name or "unknown", version or "unknown"


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
