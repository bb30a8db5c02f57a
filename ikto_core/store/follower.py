"""Follows a bucket without a consumer: pushes for speed, walks and checks at the leader for correctness.

Correctness never depends on the delivery of a push. The six rules (docs/sync.md): subscribe before the first walk;
apply a push only if it is the next revision; fetch a gap; ask the leader which stream it is; do not rely on a replica
that lags; remove a missing key only after a completed walk of the whole bucket.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from random import Random, SystemRandom

import structlog

from ikto_core.errors import NatsError
from ikto_core.mesh.view import Entry
from ikto_core.store.check_pace import check_interval_s, wake_delay_s
from ikto_core.store.interfaces import BucketInfo, BucketReader, Message
from ikto_core.store.sync_times import SyncTimes
from ikto_core.store.walk import StaleReadError, all_present, contradicts, is_unknown, walk
from ikto_core.values.counters import FollowerCounters, ResyncCounters

OVERLAP = 100
"""After a reconnect, this many known revisions are read again, to detect that they were rewritten meanwhile."""

AUDIT_EVERY_S = 6 * 3600.0
"""How often the whole bucket is read even if nothing looks wrong: no undetected difference lasts longer."""

RETRY_S = 0.25
RETRIES = 3
"""Consecutive failures after which `run` ends, so that a new session is dialled."""

log = structlog.get_logger(__name__)


class Follower:
    """Keeps `table` equal to the bucket.

    Args:
        on_change: Called with the changed entries by key, after `table` is updated. Must not raise or block.
        random: Jitter.
        prepare: Awaited with the messages of a walk before they are reported, for work that takes long.

    """

    def __init__(
        self,
        on_change: Callable[[Mapping[str, Entry]], object],
        random: Random,
        prepare: Callable[[Mapping[str, Message]], Awaitable[None]] | None = None,
    ) -> None:
        self.table: dict[str, Entry] = {}  # deletion markers included
        self.revision = 0  # the table shows the bucket at this revision
        self.bucket_revision = 0  # the latest revision known to exist
        self.synced = asyncio.Event()  # set while the table is complete, checked over the present session
        self.histories = 0  # how often the bucket turned out to have another history than the table
        self.stats = FollowerCounters()
        self.resyncs = ResyncCounters()
        self.times = SyncTimes()
        self._on_change = on_change
        self._prepare = prepare
        self._random = random
        self._wake = asyncio.Event()
        self._live = False  # whether pushes may be applied
        self._walk_cause = ""  # why the next resync reads the whole bucket, a member of `resyncs`; empty: it need not
        self._audit_at = math.inf
        self._last_info: BucketInfo | None = None
        self._surplus = 0  # keys that the last walk of the whole bucket found, less those that the leader counted
        self._explained_surplus = 0  # what two such walks in a row found: these are keys that the leader does not count
        self._anchor: Message | None = None  # the last message applied; it must still exist or be superseded

    @property
    def stream(self) -> str:
        """When the stream that the table shows was created, as the leader reports it; empty: not known yet."""
        return self._last_info.created if self._last_info else ""

    def receive(self, push: Message) -> None:
        """Handle a republished message: apply it if it is the next revision, otherwise request a resync if needed."""
        self.stats.pushes += 1
        self.bucket_revision = max(self.bucket_revision, push.revision)
        self.times.pushed(push.revision, push.time, time.time())
        if self._live and push.revision == self.revision + 1:
            self._apply([push])
        elif not self._live or push.revision > self.revision:
            self.stats.gaps += self._live
            self.wake()
        elif is_unknown(self.table, push):  # an old revision that the known history does not contain
            self._walk_cause = "rewritten"
            self.wake()

    def wake(self) -> None:
        """Request a check at the leader soon."""
        self._wake.set()

    def request_resync(self) -> None:
        """Request that the whole bucket is read again soon."""
        self._walk_cause = "requested"
        self.wake()

    def disconnected(self) -> None:
        """Apply no pushes until the leader was asked: any number of pushes may have been missed."""
        self._live = False
        self.synced.clear()
        self.wake()

    def wake_delay_s(self) -> float:
        """Return the delay from a write's notification to the check at the leader, in seconds, with jitter."""
        return wake_delay_s(len(self.table), self._random)

    async def run(self, reader: BucketReader) -> None:
        """Follow until cancelled. Raises NatsError after RETRIES consecutive failures of `reader`; the table stays."""
        self.disconnected()
        try:
            await self._check_repeatedly(reader)
        finally:
            self.disconnected()

    async def _check_repeatedly(self, reader: BucketReader) -> None:
        failures = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(check_interval_s(len(self.table), self._random)):
                    await self._wake.wait()
            self._wake.clear()
            if time.monotonic() > self._audit_at:
                self._walk_cause = self._walk_cause or "audit"
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
        """Ask the leader for the state of the bucket, fetch missing messages, and apply those that are confirmed."""
        info = await reader.info()
        self.bucket_revision = max(self.revision, info.last_revision)
        self.times.known(info.last_revision, time.time())
        if cause := self._cause(info):
            await self._full_walk(reader, info, cause)
        else:
            await self._catch_up(reader, info)
        self._live = True
        self.synced.set()

    def _cause(self, info: BucketInfo) -> str:
        """Return why the whole bucket is to be read; empty: it need not be."""
        if self._last_info is None:
            return "start"
        return self._walk_cause or ("" if info.continues(self._last_info) else "replaced")

    async def _full_walk(self, reader: BucketReader, info: BucketInfo, cause: str) -> None:
        """Read the whole bucket and replace the table, once the walk is known to be complete.

        The goal is asked for after the first pass. A message that a page lacks because a later write superseded it is
        below that goal then, even if a lagging replica answered the next page.
        """
        self._live = False
        self.stats.whole_walks += 1
        setattr(self.resyncs, cause, getattr(self.resyncs, cause) + 1)
        found: dict[str, Message] = {}
        reached = await walk(reader, 1, found)
        goal = await reader.info()
        if not goal.continues(info):
            raise StaleReadError("the stream was replaced while it was read")
        reached = await self._walk_to(reader, goal, reached, found)
        gone_back = goal.last_revision < self.revision or not goal.continues(self._last_info or goal)
        self.histories += gone_back or contradicts(self.table, self.revision, found.values())
        self._walk_cause = ""
        self._audit_at = time.monotonic() + AUDIT_EVERY_S * self._random.uniform(0.8, 1.2)
        self._last_info = goal
        surplus = len(found) - goal.subjects if reached <= goal.last_revision else 0
        self._explained_surplus = surplus if surplus == self._surplus else 0
        self._surplus = surplus
        self._replace(found, max(reached, goal.last_revision))

    async def _catch_up(self, reader: BucketReader, info: BucketInfo) -> None:
        """Fetch the messages after the table's revision, and check that they continue the table's history."""
        self.stats.catch_ups += 1
        anchor = self._anchor
        start = (anchor.revision if anchor else self.revision + 1) - (0 if self._live else OVERLAP)
        known = {key: entry.revision for key, entry in self.table.items() if entry.revision >= start}
        found: dict[str, Message] = {}
        reached = await walk(reader, start, found)
        if contradicts(self.table, self.revision, found.values()) or not all_present(known, found):
            if anchor and reached < anchor.revision and await reader.first_from(anchor.revision) == anchor:
                raise StaleReadError(f"a replica answered up to revision {reached} and lags behind the table")
            await self._full_walk(reader, info, "rewritten")  # the messages do not continue the known history
            return
        reached = await self._walk_to(reader, info, reached, found)
        self._last_info = info
        new = [message for message in found.values() if message.revision > self.revision]
        self._apply(sorted(new, key=lambda message: message.revision))
        self.revision = max(self.revision, reached, info.last_revision)
        if self.revision == info.last_revision and len(self.table) - info.subjects != self._explained_surplus:
            await self._full_walk(
                reader, info, "purged"
            )  # a purge leaves no marker and no revision, only fewer subjects

    async def _walk_to(self, reader: BucketReader, goal: BucketInfo, reached: int, found: dict[str, Message]) -> int:
        """Walk on to the goal's last revision. Raises StaleReadError if the leader has an unread message up to it."""
        if reached < goal.last_revision:
            reached = await walk(reader, reached + 1, found)
        if reached < goal.last_revision:
            unread = await reader.first_from(reached + 1)
            if unread and unread.revision <= goal.last_revision:
                raise StaleReadError(f"a replica answered up to revision {reached} of {goal.last_revision}")
        if self._prepare:
            await self._prepare(found)
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
        """Replace the table by the messages of a completed walk; keys without a message are reported as deleted."""
        before = self.table
        self.table = {key: message.entry for key, message in found.items()}
        self.revision = self.bucket_revision = revision
        self.times.rewound(revision)
        self._anchor = max(found.values(), key=lambda message: message.revision, default=None)
        changes = {key: entry for key, entry in self.table.items() if before.get(key) != entry}
        changes |= {key: Entry(revision, None) for key in before.keys() - self.table.keys()}
        self._on_change(changes)


async def read_once(reader: BucketReader) -> Follower:
    """Return a follower whose table is the whole bucket as of now. Raises NatsError."""
    follower = Follower(lambda _: None, SystemRandom())
    await follower.resync(reader)
    return follower
