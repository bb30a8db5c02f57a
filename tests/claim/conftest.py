"""A bucket with two peers, and what a run of ours kept of it."""

from pathlib import Path

import pytest

from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.memory_bucket import MemoryBucket
from tests.nodes import kept_by_a_run, put
from tests.samples import KEY, OTHER_KEY, record

PEER, OTHER = record("10.0.0.64/28", KEY, "one"), record("10.0.0.80/28", OTHER_KEY, "other")


@pytest.fixture
def two_peers() -> MemoryBucket:
    """The records of `PEER` and `OTHER`."""
    bucket = MemoryBucket()
    put(bucket, PEER)
    put(bucket, OTHER)
    return bucket


@pytest.fixture
async def kept(two_peers: MemoryBucket, tmp_path: Path) -> MeshSnapshot:
    """What the state directory holds after a run on that bucket."""
    return await kept_by_a_run(two_peers, tmp_path)
