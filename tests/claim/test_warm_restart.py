"""An agent that starts with a snapshot reads what changed since, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.errors import NatsError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from tests.claim.conftest import OTHER, PEER
from tests.nodes import Node, put, restarted, snapshot_of_a_run
from tests.samples import KEY, OTHER_KEY, THIRD_KEY, record

NEW = record("10.0.0.96/28", THIRD_KEY, "new")


@pytest.fixture
def bucket(two_peers: MemoryBucket) -> MemoryBucket:
    """A bucket with two peers, an invalid record, a deleted one, and the mesh's settings."""
    two_peers.write(MESH_KEY, MeshSettings("10.0.0.0/24", 28).encode())
    two_peers.write("peers.invalid", b"junk")
    two_peers.write("peers.deleted", None)
    return two_peers


@pytest.fixture
async def snapshot(bucket: MemoryBucket, tmp_path: Path) -> MeshSnapshot:
    snapshot = await snapshot_of_a_run(bucket, tmp_path)
    bucket.pages = bucket.messages_read = 0
    return snapshot


def shows_bucket(node: Node) -> bool:
    table = node.controller.follower.table
    return {key: entry.value for key, entry in table.items() if entry.value is not None} == node.bucket.live


async def test_nothing_is_read_if_nothing_changed(bucket: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot) -> None:
    node = await restarted(bucket, tmp_path, snapshot)
    await node.controller.follower.resync(bucket)
    assert (bucket.pages, bucket.messages_read) == (0, 0)
    async with node.running(resync=False):
        assert shows_bucket(node)
        assert node.controller.view.peers.keys() == {KEY, OTHER_KEY}
        assert node.controller.view.quarantined.keys() == {"peers.invalid"}


async def test_what_changed_is_read_and_one_known_message(
    bucket: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    put(bucket, NEW)
    bucket.write(OTHER.key, None)
    node = await restarted(bucket, tmp_path, snapshot)
    await node.controller.follower.resync(bucket)
    assert (bucket.pages, bucket.messages_read) == (1, 2 + 1)
    async with node.running(resync=False):
        assert shows_bucket(node)
        assert node.controller.view.peers.keys() == {KEY, THIRD_KEY}
    assert node.controller.follower.stats.whole_walks == 0


async def test_a_conflict_of_settings_in_a_bucket_that_is_not_read_again_is_known(
    bucket: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    """The whole table of the earlier run is reported, as if it had been read."""
    bucket.write(MESH_KEY, MeshSettings("10.0.0.0/16", 28).encode())
    settings = await bucket.get(MESH_KEY)
    assert settings
    assert snapshot.position
    position = replace(snapshot.position, revision=bucket.last_revision)
    node = await restarted(bucket, tmp_path, snapshot.with_bucket(snapshot.table | {MESH_KEY: settings}, position))
    await node.controller.follower.resync(bucket)
    assert bucket.messages_read == 0
    assert "10.0.0.0/16" in node.controller.mesh_settings.conflict


def recreate(bucket: MemoryBucket) -> None:
    bucket.recreate()
    put(bucket, NEW)


def roll_back(bucket: MemoryBucket) -> None:
    """Lose the latest writes and write as many others."""
    last = [bucket._messages.pop(revision) for revision in list(bucket._messages)[-3:]]
    bucket.last_revision -= len(last)
    for _ in last:
        put(bucket, NEW)


@pytest.mark.parametrize(
    ("change", "cause"), [(recreate, "replaced"), (roll_back, "rewritten"), (lambda b: b.purge(PEER.key), "purged")]
)
async def test_a_bucket_that_does_not_continue_the_snapshot_is_read_as_a_whole(
    bucket: MemoryBucket,
    tmp_path: Path,
    snapshot: MeshSnapshot,
    change: Callable[[MemoryBucket], None],
    cause: str,
) -> None:
    change(bucket)
    node = await restarted(bucket, tmp_path, snapshot)
    async with node.running():
        assert shows_bucket(node)
        assert getattr(node.controller.follower.resyncs, cause) == 1


async def test_without_a_bucket_in_the_snapshot_it_is_read_as_a_whole(
    bucket: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    """So it is with a snapshot of an earlier version."""
    node = await restarted(bucket, tmp_path, snapshot.with_bucket({}, None))
    async with node.running():
        assert shows_bucket(node)
        assert node.controller.follower.resyncs.start == 1


async def test_a_bucket_that_can_not_be_read_at_first_is_caught_up_with_later(
    bucket: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    put(bucket, NEW)
    node = await restarted(bucket, tmp_path, snapshot)
    follower, bucket.faults.fail_reads = node.controller.follower, 2
    for _ in range(2):
        with pytest.raises(NatsError):
            await follower.resync(bucket)
        assert not follower.synced.is_set()
    async with node.running():
        assert shows_bucket(node)
        assert (follower.stats.whole_walks, bucket.messages_read) == (0, 1 + 1)
