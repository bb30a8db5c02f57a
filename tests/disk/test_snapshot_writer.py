"""What is kept is up to date within seconds and at the end, and the disk is neither worn nor trusted."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Event

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ikto_core.disk import snapshot_writer as keeper_module
from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.disk.snapshot_writer import SnapshotWriter, rest_s
from ikto_core.disk.state_file import SavedState, StateFile
from tests.disk.test_mesh_snapshot import CLAIM, KEPT
from tests.nodes import until


def moved(number: int) -> MeshSnapshot:
    """Return one mesh after another."""
    return replace(KEPT, claim=replace(CLAIM, private_address=f"10.0.0.{number + 16}"))


class Source:
    """What there is to keep at the moment."""

    def __init__(self) -> None:
        self.mesh: MeshSnapshot | None = KEPT

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
async def keeping(
    snapshot_writer: SnapshotWriter, take: Callable[[float], MeshSnapshot | None]
) -> AsyncIterator[SnapshotWriter]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(snapshot_writer.run(take))
        yield snapshot_writer
        task.cancel()


def kept(file: SnapshotFile) -> MeshSnapshot:
    found = file.load()
    assert found
    return found


async def test_what_is_new_is_kept_at_once_and_loaded_by_the_next_run(source: Source, file: SnapshotFile) -> None:
    async with keeping(SnapshotWriter(file), source.take) as snapshot_writer:
        snapshot_writer.changed()
        await until(lambda: snapshot_writer.stats.writes)
    again = SnapshotWriter(file)
    assert again.load() == again.latest == snapshot_writer.latest == kept(file)
    assert kept(file).entries == KEPT.entries


async def test_a_thousand_changes_are_one_write_and_the_last_one_is_kept_at_the_end(
    source: Source, file: SnapshotFile
) -> None:
    async with keeping(SnapshotWriter(file), source.take) as snapshot_writer:
        snapshot_writer.changed()
        await until(lambda: snapshot_writer.stats.writes)
        for number in range(1000):
            source.mesh = moved(number % 7)
            snapshot_writer.changed()
            await asyncio.sleep(0)
        assert snapshot_writer.stats.writes == 1
        assert kept(file).claim == CLAIM
    assert kept(file).claim == moved(999 % 7).claim


async def test_what_is_no_news_is_not_written(
    source: Source, file: SnapshotFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "SAVE_EVERY_S", 0.0)
    monkeypatch.setattr(keeper_module, "BYTES_PER_S", 10**12)
    asked: list[float] = []

    def take(now: float) -> MeshSnapshot | None:
        asked.append(now)
        return source.take(now)

    async with keeping(SnapshotWriter(file), take) as snapshot_writer:
        for mesh in (KEPT, replace(KEPT, revision=8), None):
            asked.clear()
            source.mesh = mesh
            snapshot_writer.changed()
            await until(lambda: asked and snapshot_writer.stats.writes)
        assert snapshot_writer.stats.writes == 1
    assert kept(file).revision == KEPT.revision


async def test_nothing_changed_nothing_is_written_at_the_end_either(source: Source, file: SnapshotFile) -> None:
    async with keeping(SnapshotWriter(file), source.take):
        await asyncio.sleep(0)
    assert not file.path.exists()


async def test_a_disk_that_fails_is_told_once_and_tried_again(
    source: Source, file: SnapshotFile, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_S", 0.0)
    in_the_way = file.path.with_name(".mesh.new")
    in_the_way.mkdir()
    async with keeping(SnapshotWriter(file), source.take) as snapshot_writer:
        snapshot_writer.changed()
        await until(lambda: snapshot_writer.stats.failures > 3)
        assert ".mesh.new" in snapshot_writer.failure
        in_the_way.rmdir()
        await until(file.path.exists)
        await until(lambda: not snapshot_writer.failure)
    assert len(logs) == 1


async def test_a_state_file_that_could_not_be_written_is_tried_again_although_the_mesh_is_as_it_was(
    file: SnapshotFile, tmp_path: Path, logs: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_S", 0.0)
    (tmp_path / "state").write_text("in the way of a directory")
    state = StateFile(tmp_path / "state")
    state.save(SavedState(instances=("run",)))
    tries: list[float] = []

    def take(now: float) -> None:
        tries.append(now)
        state.mend()

    async with keeping(SnapshotWriter(file), take):
        await until(lambda: len(tries) > 3)
        assert state.failure
        state.path.parent.unlink()
        await until(lambda: not state.failure)
    assert state.load().instances == ("run",)
    assert [entry["event"] for entry in logs] == ["state not kept"]


async def test_a_disk_that_fails_at_the_end_fails_nobody(source: Source, file: SnapshotFile) -> None:
    file.path.with_name(".mesh.new").mkdir()
    async with keeping(SnapshotWriter(file), source.take) as snapshot_writer:
        snapshot_writer.changed()
        await until(lambda: snapshot_writer.failure)


class SlowFile(SnapshotFile):
    """Takes as long as the test likes, and notices two writers at once."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.begun, self.go_on = Event(), Event()
        self.writing = 0
        self.most_at_once = 0

    def save(self, kept: MeshSnapshot) -> int:
        self.writing += 1
        self.most_at_once = max(self.most_at_once, self.writing)
        self.begun.set()
        self.go_on.wait(10)
        size = super().save(kept)
        self.writing -= 1
        return size


async def test_an_end_in_the_middle_of_a_write_waits_for_it_and_keeps_the_latest(
    source: Source, tmp_path: Path
) -> None:
    file = SlowFile(tmp_path)
    async with keeping(SnapshotWriter(file), source.take) as snapshot_writer:
        snapshot_writer.changed()
        await until(file.begun.is_set)
        source.mesh = moved(1)
        snapshot_writer.changed()
        asyncio.get_running_loop().call_soon(file.go_on.set)
    assert file.most_at_once == 1
    assert kept(file).claim == moved(1).claim


def test_a_large_mesh_is_written_more_rarely() -> None:
    assert rest_s(1000) == 5
    assert rest_s(4_000_000) == 20
