"""A bucket with two peers, and the snapshot of a run on it."""

from pathlib import Path

import pytest

from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.memory_bucket import MemoryBucket
from tests.nodes import put, snapshot_of_a_run
from tests.samples import KEY, OTHER_KEY, record

PEER, OTHER = record("10.0.0.64/28", KEY, "one"), record("10.0.0.80/28", OTHER_KEY, "other")


@pytest.fixture
def two_peers() -> MemoryBucket:
    """Return a bucket with the records of `PEER` and `OTHER`."""
    bucket = MemoryBucket()
    put(bucket, PEER)
    put(bucket, OTHER)
    return bucket


@pytest.fixture
async def snapshot(two_peers: MemoryBucket, tmp_path: Path) -> MeshSnapshot:
    """Return the snapshot of a run on that bucket, which has also left its claim in the state directory."""
    return await snapshot_of_a_run(two_peers, tmp_path)
