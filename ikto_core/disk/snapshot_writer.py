"""Writes the mesh snapshot: within seconds of a change, at a limited rate, and once more when the agent stops."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress

import structlog

from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.values.counters import SnapshotCounters

SAVE_EVERY_S = 5.0
BYTES_PER_S = 200_000
"""Limit of the average write rate, whatever the rate of changes: 10,000 peers take 4 MB, and disks wear out."""

RETRY_S = 60.0

SESSIONS_EVERY_S = 600.0
"""How often a snapshot is saved if only its sessions or the bucket's revision have changed: they are saved when the
agent stops, too."""

SEEN_EVERY_S = 240.0
"""How often a snapshot is saved if only the time is later when the own record was seen: so that an agent that is killed
and started again within minutes still holds its subnet (claim/holding.py)."""

TakeSnapshot = Callable[[float], MeshSnapshot | None]
"""Returns the snapshot to save, as of a time in seconds since the epoch; None: leave the file unchanged."""

log = structlog.get_logger(__name__)


class SnapshotWriter:
    """Saves a snapshot after each change, in a thread of its own. A failing disk is reported and retried."""

    def __init__(self, file: SnapshotFile) -> None:
        self.latest: MeshSnapshot | None = None  # the content of the file; None: no usable snapshot
        self.failure = ""  # why the last write failed; empty: it did not
        self.stats = SnapshotCounters()
        self._file = file
        self._requested = asyncio.Event()

    def load(self) -> MeshSnapshot | None:
        """Return the snapshot of an earlier run; None if there is no usable one."""
        self.latest = self._file.load()
        return self.latest

    def request_write(self) -> None:
        """Request a write: the mesh may have changed."""
        self._requested.set()

    async def run(self, take: TakeSnapshot) -> None:
        """Save what `take` returns, until cancelled; on leaving, save the latest state."""
        try:
            # Leaving the executor waits for a write that has begun, so there are never two writers at once.
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot-writer") as thread:
                while True:
                    with suppress(TimeoutError):  # `take` also retries a failed save of the state file
                        async with asyncio.timeout(RETRY_S):
                            await self._requested.wait()
                    self._requested.clear()
                    await asyncio.sleep(await self._save(take(time.time()), thread))
        finally:
            self._save_last(take)

    def _save_last(self, take: TakeSnapshot) -> None:
        """Save what is not on disk yet, changed sessions and when the own record was seen included."""
        if self._requested.is_set() or self.latest:
            snapshot = self._if_changed(take(time.time()), sessions_every_s=0.0, seen_every_s=0.0)
            with self._report_failures():
                if snapshot:
                    self._file.save(snapshot)

    async def _save(self, taken: MeshSnapshot | None, thread: Executor) -> float:
        """Save a snapshot if it differs from the file's; return the pause before the next write in seconds."""
        if not (snapshot := self._if_changed(taken)):
            return 0.0
        pause_s = RETRY_S
        with self._report_failures():
            size = await asyncio.get_running_loop().run_in_executor(thread, self._file.save, snapshot)
            self.latest = snapshot
            self.stats.writes += 1
            pause_s = write_pause_s(size)
        if self.failure:
            self._requested.set()
        return pause_s

    def _if_changed(
        self,
        snapshot: MeshSnapshot | None,
        *,
        sessions_every_s: float = SESSIONS_EVERY_S,
        seen_every_s: float = SEEN_EVERY_S,
    ) -> MeshSnapshot | None:
        """Return the snapshot if it is worth a write."""
        latest = self.latest
        if snapshot is None or latest is None or not snapshot.same_content_as(latest):
            return snapshot
        sessions_due = abs(snapshot.saved_at - latest.saved_at) >= sessions_every_s  # clocks may go back
        if sessions_due and (snapshot.sessions, snapshot.revision) != (latest.sessions, latest.revision):
            return snapshot
        return snapshot if _seen_later(snapshot, latest, seen_every_s) else None

    @contextmanager
    def _report_failures(self) -> Iterator[None]:
        """Log and count an OSError instead of raising it; the previous snapshot is still on disk then."""
        failure = ""
        try:
            yield
        except OSError as error:
            failure = str(error)
            self.stats.failures += 1
            if failure != self.failure:  # once, not at every retry
                log.error("snapshot not saved", error=failure)
        self.failure = failure


def _seen_later(snapshot: MeshSnapshot, latest: MeshSnapshot, by_s: float) -> bool:
    """Return whether the own record was seen later, by more than some seconds, than the file says; or not at all."""
    if snapshot.own_seen_at is None or latest.own_seen_at is None:
        return snapshot.own_seen_at != latest.own_seen_at
    return abs(snapshot.own_seen_at - latest.own_seen_at) > by_s  # clocks may go back


def write_pause_s(size: int) -> float:
    """Return the pause after a write of so many bytes, in seconds."""
    return max(SAVE_EVERY_S, size / BYTES_PER_S)
