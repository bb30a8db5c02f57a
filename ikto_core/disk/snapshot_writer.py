"""Keeps the accepted mesh on disk: soon after it changed, but rarely, and once more when the agent stops."""

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
"""At most so much is written on average, however much changes: 10,000 peers take 4 MB, and disks wear."""

RETRY_S = 60.0

Take = Callable[[float], MeshSnapshot | None]
"""Returns what to keep as of that time (seconds since the epoch); None: nothing, leave the file as it is."""

log = structlog.get_logger(__name__)


class SnapshotWriter:
    """Writes what is to be kept whenever it `changed`, in a thread of its own; a disk that fails ends nothing."""

    def __init__(self, file: SnapshotFile) -> None:
        self.latest: MeshSnapshot | None = None  # what the file holds; None: nothing that can be used
        self.failure = ""  # why it is not up to date; empty: it is, but for a few seconds
        self.stats = SnapshotCounters()
        self._file = file
        self._changed = asyncio.Event()

    def load(self) -> MeshSnapshot | None:
        """Return what an earlier run kept."""
        self.latest = self._file.load()
        return self.latest

    def changed(self) -> None:
        """Say that there may be something new to keep."""
        self._changed.set()

    async def run(self, take: Take) -> None:
        """Keep what `take` returns, until cancelled; on leaving, the latest."""
        try:
            # The executor is left when what its thread has begun is done: never two writers at once.
            with ThreadPoolExecutor(max_workers=1, thread_name_prefix="keeper") as thread:
                while True:
                    with suppress(TimeoutError):  # what `take` does beside, and failed to do, is tried again
                        async with asyncio.timeout(RETRY_S):
                            await self._changed.wait()
                    self._changed.clear()
                    await asyncio.sleep(await self._keep(take(time.time()), thread))
        finally:
            if self._changed.is_set() and (kept := self._news(take(time.time()))):
                with self._told():
                    self._file.save(kept)

    async def _keep(self, kept: MeshSnapshot | None, thread: Executor) -> float:
        """Keep this if it is news; return for how many seconds the disk shall have rest."""
        if not (kept := self._news(kept)):
            return 0.0
        pause_s = RETRY_S
        with self._told():
            size = await asyncio.get_running_loop().run_in_executor(thread, self._file.save, kept)
            self.latest = kept
            self.stats.writes += 1
            pause_s = rest_s(size)
        if self.failure:
            self._changed.set()
        return pause_s

    def _news(self, kept: MeshSnapshot | None) -> MeshSnapshot | None:
        return None if kept is None or kept.says_the_same_as(self.latest) else kept

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Report a disk that can't take it; what was kept before is there still."""
        failure = ""
        try:
            yield
        except OSError as error:
            failure = str(error)
            self.stats.failures += 1
            if failure != self.failure:  # told once, not once a minute
                log.error("the mesh is not kept on disk", error=failure)
        self.failure = failure


def rest_s(size: int) -> float:
    """Return how long the disk has rest after a write of so many bytes, in seconds."""
    return max(SAVE_EVERY_S, size / BYTES_PER_S)
