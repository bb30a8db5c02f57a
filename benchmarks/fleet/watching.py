"""What the nodes of one process have seen of the bucket, and when."""

import asyncio
import time
from collections.abc import Iterable

GONE = "-"
"""Before the token of a record: it was seen to go."""


class Sightings:
    """When the nodes of one process saw what: times of CLOCK_MONOTONIC by token, one for each node."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.nodes = 0
        self._awaited: set[str] = set()
        self._all_seen = asyncio.Event()

    def saw(self, token: str) -> None:
        """Note that a node has seen something for the first time."""
        times = self.times.setdefault(token, [])
        times.append(time.monotonic())
        if token in self._awaited and len(times) >= self.nodes:
            self._awaited.discard(token)
            if not self._awaited:
                self._all_seen.set()

    async def all_saw(self, tokens: Iterable[str]) -> None:
        """Wait until every node has seen these tokens."""
        self._awaited = {token for token in tokens if len(self.times.get(token, ())) < self.nodes}
        self._all_seen.clear()
        if self._awaited:
            await self._all_seen.wait()


class Census:
    """How many records each node of one process has; tells when all have a certain number."""

    def __init__(self) -> None:
        self._has: dict[int, int] = {}
        self._wanted = 0
        self._short: set[int] = set()
        self._reached = asyncio.Event()

    def note(self, node: int, count: int) -> None:
        """Note that a node has so many records now."""
        self._has[node] = count
        if count == self._wanted:
            self._short.discard(node)
            if not self._short:
                self._reached.set()
        else:
            self._short.add(node)
            self._reached.clear()

    async def until(self, count: int) -> float:
        """Wait until every node has so many records; return when that was so, by CLOCK_MONOTONIC."""
        self._wanted = count
        self._short = {node for node, has in self._has.items() if has != count}
        self._reached.clear()
        if self._short:
            await self._reached.wait()
        return time.monotonic()

    def shortage(self) -> str:
        """Return how many nodes have another number of records, and what they have."""
        others = sorted(self._has[node] for node in self._short)
        return f"{len(others)} nodes do not have {self._wanted} records: {others[:5]}"


class Watch:
    """What one node has seen."""

    def __init__(self, number: int, sightings: Sightings, census: Census) -> None:
        self.number = number
        self._sightings = sightings
        self._census = census
        self.known: set[str] = set()
        sightings.nodes += 1
        census.note(number, 0)

    def appeared(self, token: str) -> None:
        """Note a record, unless it is known."""
        if token not in self.known:
            self.known.add(token)
            self._sightings.saw(token)
            self._census.note(self.number, len(self.known))

    def forget(self) -> None:
        """Begin again from nothing."""
        self.known.clear()
        self._census.note(self.number, 0)

    def gone(self, token: str) -> None:
        """Note that a record is gone, if it was known."""
        if token in self.known:
            self.known.discard(token)
            self._sightings.saw(GONE + token)
            self._census.note(self.number, len(self.known))
