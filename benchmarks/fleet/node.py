"""What a node of a fleet is, and what it counts."""

from collections.abc import Mapping
from typing import Protocol

import msgspec


class Place(msgspec.Struct, frozen=True):
    """Where the bucket is, and where nodes keep what is theirs."""

    servers: tuple[str, ...]
    bucket: str
    directory: str


class Tally(msgspec.Struct, frozen=True):
    """What nodes have counted, by name. Tallies are added and subtracted like numbers."""

    counts: Mapping[str, int] = {}

    def __add__(self, other: "Tally") -> "Tally":
        names = self.counts.keys() | other.counts.keys()
        return Tally({name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in sorted(names)})

    def __sub__(self, other: "Tally") -> "Tally":
        return self + Tally({name: -count for name, count in other.counts.items()})


class FleetNode(Protocol):
    """A node of a fleet. After it was cancelled it can be run again, with what it has kept."""

    async def run(self) -> None:
        """Take part until cancelled."""
        ...

    def is_current(self, revision: int) -> bool:
        """Return whether it runs and shows the bucket at this revision or a later one."""
        ...

    def tally(self) -> Tally:
        """Return what it has counted."""
        ...
