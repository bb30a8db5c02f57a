"""The snapshot on disk is up to date within seconds and at the end; writes are limited and failures are survived."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ikto_core.disk import snapshot_writer as writer_module
from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.disk.snapshot_writer import SnapshotWriter, write_pause_s
from ikto_core.disk.state_file import SavedState, StateFile
from tests.disk.test_mesh_snapshot import CLAIM, SNAPSHOT
from tests.nodes import until
from tests.samples import KEY


def numbered(number: int) -> MeshSnapshot:
    """Return a snapshot that differs from those of other numbers."""
    return replace(SNAPSHOT, claim=replace(CLAIM, private_address=f"10.0.0.{number + 16}"))


class Source:
    """Supplies the snapshot to save at the moment."""

    def __init__(self) -> None:
        self.mesh: MeshSnapshot | None = SNAPSHOT

    def take(self, now: float) -> MeshSnapshot | None:
        return replace(self.mesh, saved_at=now) if self.mesh else None


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def file(tmp_path: Path) -> SnapshotFile:
    return SnapshotFile(tmp_path)


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as logs:
        yield logs


@asynccontextmanager
async def running(
    writer: SnapshotWriter, take: Callable[[float], MeshSnapshot | None]
) -> AsyncIterator[SnapshotWriter]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(writer.run(take))
        yield writer
        task.cancel()


def saved(file: SnapshotFile) -> MeshSnapshot:
    found = file.load()
    assert found
    return found


async def test_the_first_snapshot_is_saved_at_once_and_loaded_by_the_next_run(
    source: Source, file: SnapshotFile
) -> None:
    async with running(SnapshotWriter(file), source.take) as writer:
        writer.request_write()
        await until(lambda: writer.stats.writes)
    again = SnapshotWriter(file)
    assert again.load() == again.latest == writer.latest == saved(file)
    assert saved(file).entries == SNAPSHOT.entries


async def test_a_thousand_changes_cost_one_write_and_the_last_one_is_saved_at_the_end(
    source: Source, file: SnapshotFile
) -> None:
    async with running(SnapshotWriter(file), source.take) as writer:
        writer.request_write()
        await until(lambda: writer.stats.writes)
        for number in range(1000):
            source.mesh = numbered(number % 7)
            writer.request_write()
            await asyncio.sleep(0)
        assert writer.stats.writes == 1
        assert saved(file).claim == CLAIM
    assert saved(file).claim == numbered(999 % 7).claim


async def test_an_unchanged_snapshot_is_not_written(
    source: Source, file: SnapshotFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(writer_module, "BYTES_PER_S", 10**12)
    asked: list[float] = []

    def take(now: float) -> MeshSnapshot | None:
        asked.append(now)
        return source.take(now)

    async with running(SnapshotWriter(file), take) as writer:
        for mesh in (SNAPSHOT, replace(SNAPSHOT, revision=8), None):
            asked.clear()
            source.mesh = mesh
            writer.request_write()
            await until(lambda: asked and writer.stats.writes)
        assert writer.stats.writes == 1
    assert saved(file).revision == SNAPSHOT.revision


async def test_without_a_request_nothing_is_written_at_the_end(source: Source, file: SnapshotFile) -> None:
    async with running(SnapshotWriter(file), source.take):
        await asyncio.sleep(0)
    assert not file.path.exists()


async def test_a_failing_disk_is_logged_once_and_retried(
    source: Source, file: SnapshotFile, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.0)
    in_the_way = file.path.with_name(".mesh.new")
    in_the_way.mkdir()
    async with running(SnapshotWriter(file), source.take) as writer:
        writer.request_write()
        await until(lambda: writer.stats.failures > 3)
        assert ".mesh.new" in writer.failure
        in_the_way.rmdir()
        await until(file.path.exists)
        await until(lambda: not writer.failure)
    assert len(logs) == 1


async def test_saving_the_state_file_is_retried_while_the_mesh_is_unchanged(
    file: SnapshotFile, tmp_path: Path, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "RETRY_S", 0.0)
    (tmp_path / "state").write_text("in the way of a directory")
    state = StateFile(tmp_path / "state")
    state.save(SavedState(instances=("run",)))
    tries: list[float] = []

    def take(now: float) -> None:
        tries.append(now)
        state.retry_save()

    async with running(SnapshotWriter(file), take):
        await until(lambda: len(tries) > 3)
        assert state.failure
        state.path.parent.unlink()
        await until(lambda: not state.failure)
    assert state.load().instances == ("run",)
    assert [entry["event"] for entry in logs] == ["state not saved"]


async def test_a_failing_disk_at_the_end_raises_no_error(source: Source, file: SnapshotFile) -> None:
    file.path.with_name(".mesh.new").mkdir()
    async with running(SnapshotWriter(file), source.take) as writer:
        writer.request_write()
        await until(lambda: writer.failure)


class SlowFile(SnapshotFile):
    """A file whose writes last until `go_on` is set; it counts concurrent writers."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.begun, self.go_on = Event(), Event()
        self.writing = 0
        self.most_at_once = 0

    def save(self, snapshot: MeshSnapshot) -> int:
        self.writing += 1
        self.most_at_once = max(self.most_at_once, self.writing)
        self.begun.set()
        self.go_on.wait(10)
        size = super().save(snapshot)
        self.writing -= 1
        return size


async def test_stopping_during_a_write_waits_for_it_and_saves_the_latest(source: Source, tmp_path: Path) -> None:
    file = SlowFile(tmp_path)
    async with running(SnapshotWriter(file), source.take) as writer:
        writer.request_write()
        await until(file.begun.is_set)
        source.mesh = numbered(1)
        writer.request_write()
        asyncio.get_running_loop().call_soon(file.go_on.set)
    assert file.most_at_once == 1
    assert saved(file).claim == numbered(1).claim


def test_a_large_snapshot_is_written_less_often() -> None:
    assert write_pause_s(1000) == 5
    assert write_pause_s(4_000_000) == 20


@pytest.mark.slow
async def test_changed_sessions_alone_are_saved_rarely_and_at_the_end(source: Source, file: SnapshotFile) -> None:
    writer = SnapshotWriter(file)
    async with running(writer, source.take):
        writer.request_write()
        await until(lambda: writer.stats.writes == 1)
        source.mesh = replace(SNAPSHOT, sessions=(KEY.text,))
        writer.request_write()
        await until(lambda: not writer._requested.is_set())
        assert writer.stats.writes == 1
    saved = file.load()
    assert saved
    assert saved.sessions == (KEY.text,)
    later = source.take(saved.saved_at + writer_module.SESSIONS_EVERY_S)
    assert later
    writer.latest = replace(later, sessions=(), saved_at=saved.saved_at)
    assert writer._if_changed(later) == later


@pytest.mark.parametrize("change", [{"sessions": (KEY.text,)}, {"revision": 8}], ids=["sessions", "revision"])
def test_what_does_not_change_the_device_is_saved_after_ten_minutes(
    source: Source, file: SnapshotFile, change: dict[str, Any]
) -> None:
    """The further behind the bucket the snapshot is, the more the next run reads."""
    writer = SnapshotWriter(file)
    writer.latest = source.take(0.0)
    source.mesh = replace(SNAPSHOT, **change)
    assert writer._if_changed(source.take(writer_module.SESSIONS_EVERY_S - 1)) is None
    assert writer._if_changed(source.take(writer_module.SESSIONS_EVERY_S)) is not None
    assert writer._if_changed(source.take(1.0), sessions_every_s=0.0) is not None


@pytest.mark.slow
async def test_when_the_own_record_was_seen_is_saved_now_and_then_and_at_the_end(
    source: Source, file: SnapshotFile
) -> None:
    """So a node that restarts holds its subnet, also if the mesh has not changed for days."""
    writer = SnapshotWriter(file)
    source.mesh = replace(SNAPSHOT, own_seen_at=1000.0)
    async with running(writer, source.take):
        writer.request_write()
        await until(lambda: writer.stats.writes == 1)
        source.mesh = replace(SNAPSHOT, own_seen_at=1000.0 + writer_module.SEEN_EVERY_S)
        writer.request_write()
        await until(lambda: not writer._requested.is_set())
        assert writer.stats.writes == 1
    assert saved(file).own_seen_at == source.mesh.own_seen_at
    later = replace(SNAPSHOT, own_seen_at=1001.0 + 2 * writer_module.SEEN_EVERY_S)
    writer.latest = source.mesh
    assert writer._if_changed(source.mesh) is None
    assert writer._if_changed(later) == later
    assert writer._if_changed(replace(SNAPSHOT, own_seen_at=None)), "the subnet was released"
