"""Follows a bucket without a consumer: pushes for speed, walks and checks at the leader for correctness.

Correctness never depends on the delivery of a push. The six rules (docs/sync.md): subscribe before the first walk;
apply a push only if it is the next revision; fetch a gap; ask the leader which stream it is; do not rely on a replica
that lags; remove a missing key only after a completed walk of the whole bucket.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from random import Random

import structlog

from ikto_core.errors import NatsError
from ikto_core.mesh.view import Entry
from ikto_core.store.audit import Audit
from ikto_core.store.check_pace import check_interval_s, wake_delay_s
from ikto_core.store.interfaces import BucketInfo, BucketReader, Message
from ikto_core.store.sync_times import SyncTimes
from ikto_core.store.table import OVERLAPS, BucketTable, all_present, proves
from ikto_core.store.walk import StaleReadError, walk, walk_to
from ikto_core.values.counters import FollowerCounters, ResyncCounters
from ikto_core.values.position import Position

RETRY_S = 0.25
RETRIES = 3
"""Consecutive failures after which `run` ends, so that a new session is dialled."""

log = structlog.get_logger(__name__)


class Follower:
    """Keeps `table` equal to the bucket.

    Args:
        on_change: Called with the changed entries by key, after `table` is updated. Must not raise or block.
        random: Jitter.
        prepare: Awaited with what is about to be reported, by key, for work that takes long.

    """

    def __init__(
        self,
        on_change: Callable[[Mapping[str, Entry]], object],
        random: Random,
        prepare: Callable[[Mapping[str, Message | Entry]], Awaitable[None]] | None = None,
    ) -> None:
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
        self._known = BucketTable()
        self._is_reported = True  # whether the table was passed to `on_change`
        self._audit = Audit(random, self.stats)

    @property
    def table(self) -> dict[str, Entry]:
        """The entries of the bucket by key, deletion markers included."""
        return self._known.entries

    @property
    def revision(self) -> int:
        """The revision of the bucket that the table shows; 0: none."""
        return self._known.revision

    @property
    def stream(self) -> str:
        """When the stream that the table shows was created, as the leader reports it; empty: not known yet."""
        return self._known.info.created if self._known.info else ""

    @property
    def position(self) -> Position | None:
        """Where the table is in the bucket's history, for `restore`; None: the bucket has not been read."""
        return self._known.position(self._audit.start)

    def restore(self, table: Mapping[str, Entry], position: Position) -> None:
        """Begin with the table of an earlier run; it is reported once the bucket turns out to continue its history."""
        self._known.restore(table, position)
        self._is_reported = False
        self._audit.resume(position.audited, len(table), time.monotonic())

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
        elif self._known.is_unknown(push):  # an old revision that the known history does not contain
            self._live = False  # what follows is of another history: the table must not have messages of both
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
        self.stats.checks += 1
        self.bucket_revision = max(self.revision, info.last_revision)
        self.times.known(info.last_revision, time.time())
        if cause := self._cause(info):
            await self._full_walk(reader, info, cause)
        elif self._known.is_equal(info):
            self._known.info = info
            await self._report_restored()
        else:
            await self._catch_up(reader, info)
        self._live = True
        self.synced.set()
        differs = await self._audit.differs(reader, self._known, time.monotonic())
        self._walk_cause = self._walk_cause or ("audit" if differs else "")
        if self._walk_cause or self._audit.must_settle:
            self.wake()

    def _cause(self, info: BucketInfo) -> str:
        """Return why the whole bucket is to be read; empty: it need not be."""
        if self._known.info is None:
            return "start"
        return self._walk_cause or ("" if info.continues(self._known.info) else "replaced")

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
        reached = await self._finish(reader, goal, reached, found)
        gone_back = goal.last_revision < self.revision or not goal.continues(self._known.info or goal)
        self.histories += gone_back or self._known.contradicts(found.values())
        self._walk_cause = ""
        self._known.read_as_a_whole(len(found), goal, reached)
        self._replace(found, max(reached, goal.last_revision))
        self._audit.whole_bucket_read(len(found), time.monotonic())

    async def _catch_up(self, reader: BucketReader, info: BucketInfo) -> None:
        """Fetch the messages after the table's revision, and check that they continue the table's history."""
        self.stats.catch_ups += 1
        for overlap in OVERLAPS:
            last, known, found = self._known.last, self._known.latest(overlap), dict[str, Message]()
            reached = await walk(reader, min(known.values(), default=1), found)
            if self._known.contradicts(found.values()) or not all_present(known, found):
                if last and reached < last.revision and await reader.first_from(last.revision) == last:
                    raise StaleReadError(f"a replica answered up to revision {reached} and lags behind the table")
                await self._full_walk(reader, info, "rewritten")
                return
            if proves(known, found) or len(known) < overlap:
                break
        reached = await self._finish(reader, info, reached, found)
        await self._report_restored()
        new = [message for message in found.values() if message.revision > self.revision]
        self._apply(sorted(new, key=lambda message: message.revision))
        self._known.revision = max(self.revision, reached)
        if not self._known.caught_up(info):
            await self._full_walk(reader, info, "purged")

    async def _report_restored(self) -> None:
        """Report the table of an earlier run: the bucket continues its history."""
        if not self._is_reported:
            if self._prepare:
                await self._prepare(self.table)
            self._is_reported = True
            self._on_change(dict(self.table))

    async def _finish(self, reader: BucketReader, goal: BucketInfo, reached: int, found: dict[str, Message]) -> int:
        """Walk on to the goal's last revision, and prepare what was found. Raises StaleReadError."""
        reached = await walk_to(reader, goal.last_revision, reached, found)
        if self._prepare:
            await self._prepare(found)
        return reached

    def _apply(self, messages: Iterable[Message]) -> None:
        """Advance the table by messages that follow its revision, in ascending order."""
        if changes := self._known.apply(messages):
            self._on_change(changes)

    def _replace(self, found: Mapping[str, Message], revision: int) -> None:
        """Replace the table by the messages of a completed walk; keys without a message are reported as deleted."""
        changes = self._known.replace(found, revision)
        self.bucket_revision = revision
        self.times.rewound(revision)
        self._on_change(changes if self._is_reported else dict(self.table))
        self._is_reported = True
