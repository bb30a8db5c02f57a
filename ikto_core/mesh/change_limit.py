"""Limits how often the changes of one record count: one that is rewritten again and again waits, and the latest counts.

A node writes its record once or twice when it joins, twice when it rotates its key, and once for each move of its host.
So ten changes at once and then one every ten seconds slow down none of that; and a record that is rewritten for a whole
day costs each device ten writes and then six a minute. Pure.
"""

from collections.abc import Mapping
from heapq import heappop, heappush
from math import inf

from ikto_core.mesh.view import Entry
from ikto_core.values.counters import RecordCounters

AT_ONCE = 10
"""So many changes of a record count at once, if it has not changed for AT_ONCE * EVERY_S."""

EVERY_S = 10.0
"""After these, one change counts in this time."""


class ChangeLimit:
    """The changes that wait, by KV key; records do not affect each other.

    Times are seconds of any clock that never goes back.
    """

    def __init__(self) -> None:
        self.waiting: dict[str, Entry] = {}  # the latest change of each record that waits
        self.frequent: set[str] = set()  # KV keys of records that have changed too often lately
        self.stats = RecordCounters()
        self._due: list[tuple[float, str]] = []  # when each of those that wait may count; a heap
        self._calm_at: dict[str, float] = {}  # when AT_ONCE changes of a record may count again

    @property
    def next_due_at(self) -> float:
        """When a change that waits may count; infinity: none waits."""
        return self._due[0][0] if self._due else inf

    def admit(self, changes: Mapping[str, Entry], now: float) -> dict[str, Entry]:
        """Return those of some changes that count now, with earlier ones that are due."""
        admitted = {}
        for key, entry in changes.items():
            if key not in self.waiting and (due := self._due_at(key)) <= now:
                self._count(key, now)
                admitted[key] = entry
                continue
            if key not in self.waiting:
                heappush(self._due, (due, key))
                self.frequent.add(key)
            self.waiting[key] = entry
            self.stats.delayed += 1
        return self.take_due(now) | admitted

    def take_due(self, now: float) -> dict[str, Entry]:
        """Return the changes that have waited for long enough."""
        taken = {}
        while self.next_due_at <= now:
            _, key = heappop(self._due)
            self._count(key, now)
            taken[key] = self.waiting.pop(key)
        return taken

    def take_all(self) -> dict[str, Entry]:
        """Return all changes that wait: the bucket was read anew, or is not followed any more."""
        taken, self.waiting = self.waiting, {}
        self._due.clear()
        return taken

    def forget_calm(self, now: float) -> None:
        """Forget the records that have not changed for long."""
        self._calm_at = {key: at for key, at in self._calm_at.items() if at > now}
        self.frequent &= self._calm_at.keys()

    def _due_at(self, key: str) -> float:
        return self._calm_at.get(key, -inf) - (AT_ONCE - 1) * EVERY_S

    def _count(self, key: str, now: float) -> None:
        self._calm_at[key] = max(self._calm_at.get(key, -inf), now) + EVERY_S
