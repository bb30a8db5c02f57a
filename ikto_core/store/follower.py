"""Following a bucket without a consumer: pushes make it quick, walks and the leader's word make it right.

Correctness never depends on a push arriving. The six conditions (docs/sync.md):
subscribe before the first walk; apply a push only if it is the next revision; fetch a gap; ask the leader who the
stream is; distrust a replica that lags; remove what is missing only after a completed walk of the whole bucket.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from random import Random

import structlog

from ikto_core.errors import NatsError
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import BucketInfo, BucketReader, Message
from ikto_core.values.counters import FollowerCounters

CHECK_EVERY_S = 20.0
"""How often the leader is asked whether the stream is still the one we know, ± 20 %."""

LEADER_CHECKS_PER_S = 50.0
"""What all agents of a mesh together may ask the leader; beyond, each asks less often."""

OVERLAP = 100
"""After a reconnect, so many revisions that we know already are read again: were they rewritten meanwhile?"""

AUDIT_EVERY_S = 6 * 3600.0
"""How often the whole bucket is read although nothing seems wrong: it bounds what nobody thought of."""

HINT_DELAY_S = 0.3
RETRY_S = 0.25
RETRIES = 3
"""Failed attempts in a row after which the connection is given up for a new one."""
log = structlog.get_logger(__name__)


class StaleReadError(NatsError):
    """What was read can't be the whole truth: a lagging replica answered, or the stream was replaced meanwhile."""


class Follower:
    """Keeps `table` equal to the bucket.

    Args:
        on_change: Called, after `table` is up to date, with the keys that changed. Must not raise or block.
        random: Jitter.

    """

    def __init__(self, on_change: Callable[[Mapping[str, Entry]], object], random: Random) -> None:
        self.table: dict[str, Entry] = {}  # deletion markers included
        self.revision = 0  # the table shows the bucket as of this revision
        self.bucket_revision = 0  # the latest revision that we heard of
        self.synced = asyncio.Event()  # the table is a complete view, as of the present connection
        self.stats = FollowerCounters()
        self._on_change = on_change
        self._random = random
        self._wake = asyncio.Event()
        self._live = False  # pushes may be applied
        self._suspicious = False  # something was seen that this history can't contain
        self._audit_at = math.inf
        self._known: BucketInfo | None = None
        self._anchor: Message | None = None  # the last message applied: it must be there still, or be superseded

    @property
    def stream(self) -> str:
        """When the stream that the table shows was made, in the leader's words; empty: not known yet."""
        return self._known.created if self._known else ""

    def receive(self, push: Message) -> None:
        """Take a republished message: apply it if it is the next one, else see to it that the truth is fetched."""
        self.stats.pushes += 1
        self.bucket_revision = max(self.bucket_revision, push.revision)
        if self._live and push.revision == self.revision + 1:
            self._apply([push])
        elif not self._live or push.revision > self.revision:
            self.stats.gaps += self._live
            self.wake()
        elif self._is_news(push):  # an old revision that this history does not have
            self._suspicious = True
            self.wake()

    def wake(self) -> None:
        """See to it that the leader is asked soon."""
        self._wake.set()

    def distrust(self) -> None:
        """Read the whole bucket again soon: somebody doubts the table."""
        self._suspicious = True
        self.wake()

    def disconnected(self) -> None:
        """Trust no push until the leader was asked: we may have missed anything."""
        self._live = False
        self.synced.clear()
        self.wake()

    def hint_delay_s(self) -> float:
        """Return how long after a hint to ask the leader, in seconds; jittered."""
        return (HINT_DELAY_S + len(self.table) / LEADER_CHECKS_PER_S) * self._random.uniform(0.5, 1)

    def check_interval_s(self) -> float:
        """Return how long to wait until the leader is asked again, in seconds; jittered."""
        return longest_check_interval_s(len(self.table)) * self._random.uniform(2 / 3, 1)

    async def run(self, reader: BucketReader) -> None:
        """Follow until cancelled. Raises NatsError when `reader` fails again and again; the table stays."""
        self.disconnected()
        try:
            await self._check_for_ever(reader)
        finally:
            self.disconnected()

    async def _check_for_ever(self, reader: BucketReader) -> None:
        failures = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.check_interval_s()):
                    await self._wake.wait()
            self._wake.clear()
            self._suspicious |= time.monotonic() > self._audit_at
            try:
                await self.resync(reader)
                failures = 0
            except NatsError as error:
                failures += 1
                self.stats.failures += 1
                log.debug("resync failed", error=str(error), attempt=failures)
                if failures == RETRIES:
                    raise
                await asyncio.sleep(RETRY_S * 2**failures * self._random.uniform(0.5, 1))
                self.wake()

    async def resync(self, reader: BucketReader) -> None:
        """Ask the leader how things stand and fetch what is missing; the table changes only by what is certain."""
        info = await reader.info()
        self.bucket_revision = max(self.revision, info.last_revision)
        if self._suspicious or self._known is None or not info.continues(self._known):
            await self._walk_whole(reader, info)
        else:
            await self._catch_up(reader, info)
        self._live = True
        self.synced.set()

    async def _walk_whole(self, reader: BucketReader, info: BucketInfo) -> None:
        """Replace the table by the bucket as it is, once the walk is known to be complete.

        The goal is asked for after the first pass: what a page left out because a later write superseded it lies
        below that goal, even if a lagging replica answered the next page.
        """
        self._live = False
        self.stats.whole_walks += 1
        found: dict[str, Message] = {}
        reached = await _walk(reader, 1, found)
        goal = await reader.info()
        if not goal.continues(info):
            raise StaleReadError("the stream was replaced while it was read")
        reached = await self._reach(reader, goal, reached, found)
        self._suspicious = False
        self._audit_at = time.monotonic() + AUDIT_EVERY_S * self._random.uniform(0.8, 1.2)
        self._known = goal
        self._replace(found, max(reached, goal.last_revision))

    async def _catch_up(self, reader: BucketReader, info: BucketInfo) -> None:
        """Fetch what came after the table's revision, and make sure that it follows from what we have."""
        self.stats.catch_ups += 1
        anchor = self._anchor
        start = (anchor.revision if anchor else self.revision + 1) - (0 if self._live else OVERLAP)
        known = {key: entry.revision for key, entry in self.table.items() if entry.revision >= start}
        found: dict[str, Message] = {}
        reached = await _walk(reader, start, found)
        if self._contradicted(found.values()) or not _all_stand(known, found):
            if anchor and reached < anchor.revision and await reader.first_from(anchor.revision) == anchor:
                raise StaleReadError(f"a replica answered up to revision {reached}, which lags behind us")
            await self._walk_whole(reader, info)  # what was read does not follow from what we knew
            return
        reached = await self._reach(reader, info, reached, found)
        self._known = info
        news = [message for message in found.values() if message.revision > self.revision]
        self._apply(sorted(news, key=lambda message: message.revision))
        self.revision = max(self.revision, reached, info.last_revision)
        if self.revision == info.last_revision and len(self.table) != info.subjects:
            await self._walk_whole(reader, info)  # a purge leaves neither a marker nor a revision, but fewer subjects

    def _contradicted(self, found: Iterable[Message]) -> bool:
        """Whether a message lies at or below the table's revision that the table does not know."""
        return any(message.revision <= self.revision and self._is_news(message) for message in found)

    async def _reach(self, reader: BucketReader, goal: BucketInfo, reached: int, found: dict[str, Message]) -> int:
        """Walk on to the goal's last revision. Raises StaleReadError if the leader has something up to it unseen."""
        if reached < goal.last_revision:
            reached = await _walk(reader, reached + 1, found)
        if reached < goal.last_revision:
            unseen = await reader.first_from(reached + 1)
            if unseen and unseen.revision <= goal.last_revision:
                raise StaleReadError(f"a replica answered up to revision {reached} of {goal.last_revision}")
        return reached

    def _apply(self, messages: Iterable[Message]) -> None:
        """Advance the table by messages that follow its revision, in ascending order."""
        changes: dict[str, Entry] = {}
        for message in messages:
            changes[message.key] = self.table[message.key] = message.entry
            self.revision, self._anchor = message.revision, message
        if changes:
            self._on_change(changes)

    def _replace(self, found: Mapping[str, Message], revision: int) -> None:
        """Make the table what a completed walk found; what it did not find is gone."""
        before = self.table
        self.table = {key: message.entry for key, message in found.items()}
        self.revision = self.bucket_revision = revision
        self._anchor = max(found.values(), key=lambda message: message.revision, default=None)
        changes = {key: entry for key, entry in self.table.items() if before.get(key) != entry}
        changes |= {key: Entry(revision, None) for key in before.keys() - self.table.keys()}
        self._on_change(changes)

    def _is_news(self, push: Message) -> bool:
        known = self.table.get(push.key)
        if known is None or known.revision < push.revision:
            return True
        return known.revision == push.revision and known != push.entry


def longest_check_interval_s(keys: int) -> float:
    """Return within how long every agent asks the leader in a mesh with so many keys, in seconds."""
    return 1.2 * max(CHECK_EVERY_S, keys / LEADER_CHECKS_PER_S)


async def _walk(reader: BucketReader, start: int, found: dict[str, Message]) -> int:
    """Read pages from `start` to their end into `found`, the latest message of each key; return the last revision."""
    reached = start - 1
    while True:
        page = await reader.page(reached + 1)
        for message in page.messages:
            found[message.key] = message
            reached = message.revision
        if page.complete or not page.messages:
            return reached


def _all_stand(known: Mapping[str, int], found: Mapping[str, Message]) -> bool:
    """Whether every message that we knew (its revision by key) is still there, or superseded by a later one."""
    return all(key in found and found[key].revision >= revision for key, revision in known.items())
