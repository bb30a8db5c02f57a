"""Reads the bucket again, slice by slice: a difference that no check at the leader shows does not last for ever.

The agents of a mesh read the slices at a limited rate all together, so in a large mesh a whole round takes longer.
"""

import math
from collections.abc import Collection, Mapping
from random import Random

from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import BucketReader, Message
from ikto_core.store.table import BucketTable
from ikto_core.store.walk import walk
from ikto_core.values.counters import FollowerCounters

ROUND_S = 6 * 3600.0
"""How long an agent takes to read the whole bucket again, ± 20 %, unless that is too often for the fleet."""

FLEET_MESSAGES_PER_S = 1000.0
"""How many messages all agents of a mesh read together for this, about 0.4 MB a second."""

SLICE = 1000
"""A slice has so many messages at least, if there are as many: a page, or many of them from a server without pages."""


def round_s(keys: int) -> float:
    """Return how long an agent takes to read the whole bucket again; there are as many agents as keys at most."""
    return max(ROUND_S, keys * keys / FLEET_MESSAGES_PER_S)


class Audit:
    """Which slice of the bucket is read next, and when. Times are monotonic, in seconds."""

    def __init__(self, random: Random, stats: FollowerCounters) -> None:
        self.start = 1  # revision at which the next slice begins
        self.due_at = math.inf
        self._random = random
        self._stats = stats
        self._missing: dict[str, int] = {}  # what the last slice lacked, revision by key

    def whole_bucket_read(self, keys: int, now: float) -> None:
        """Begin a round: the whole bucket was just read."""
        self.start, self._missing = 1, {}
        self._schedule(min(keys, SLICE), keys, now)

    def resume(self, start: int, keys: int, now: float) -> None:
        """Go on with the round of an earlier run at this revision.

        The next slice is due at a random time, so that agents that are often restarted read as many as others.
        """
        self.start = start
        self.due_at = now + self._random.random() * round_s(keys) * min(1.0, SLICE / max(keys, 1))

    @property
    def must_settle(self) -> bool:
        """Whether the last slice lacked what may have been superseded meanwhile: after one more resync it is known."""
        return bool(self._missing)

    async def differs(self, reader: BucketReader, known: BucketTable, now: float) -> bool:
        """Read a slice if one is due; return whether the bucket differs from the table. Raises NatsError.

        Call it right after the table has caught up with the leader.
        """
        missing, self._missing = self._missing, {}
        if any(key in known.entries and known.entries[key].revision == missing[key] for key in missing):
            return True
        return now >= self.due_at and known.contradicts(await self._read(reader, known.entries, now))

    async def _read(self, reader: BucketReader, table: Mapping[str, Entry], now: float) -> Collection[Message]:
        """Return the messages of the slice that is due."""
        self._stats.audits += 1
        known = {key: entry.revision for key, entry in table.items() if entry.revision >= self.start}
        found: dict[str, Message] = {}
        reached = await walk(reader, self.start, found, SLICE)
        read = {key: revision for key, revision in known.items() if revision <= reached}
        self._missing = {key: read[key] for key in read if key not in found or found[key].revision < read[key]}
        self.start = reached + 1 if len(found) >= SLICE else 1
        self._schedule(len(found), len(table), now)
        return found.values()

    def _schedule(self, messages: int, keys: int, now: float) -> None:
        """Have the next slice read later, the more messages the last one had."""
        share = min(1.0, messages / max(keys, 1))
        self.due_at = now + round_s(keys) * share * self._random.uniform(0.8, 1.2)
