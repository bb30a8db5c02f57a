"""A change of a node's own endpoints costs one read and one write at the leader, and nobody reads the bucket again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest

from ikto_core.claim import controller
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.view import Entry
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PrivateKey
from tests.nodes import Node, until

NODES, CHANGES = 6, 10


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)


class CountingBucket(MemoryBucket):
    """A bucket that counts the reads of single keys at the leader."""

    def __init__(self) -> None:
        super().__init__()
        self.gets = 0

    async def get(self, key: str) -> Entry | None:
        self.gets += 1
        return await super().get(key)


@asynccontextmanager
async def mesh(bucket: MemoryBucket, directory: Path) -> AsyncIterator[list[Node]]:
    """Run some nodes, each with a follower of its own."""
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        nodes, following = [], []
        for number in range(NODES):
            key = PrivateKey(sha256(b"%d" % number).digest()).clamped()
            address, state_dir = f"10.0.0.{16 * number + 2}", directory / str(number)
            node = Node(bucket, state_dir, seed=number, private_key=key, private_address=address)
            following.append(tasks.create_task(node.controller.follower.run(bucket)))
            nodes.append(await stack.enter_async_context(node.running(resync=False)))
        yield nodes
        for task in following:
            task.cancel()


async def test_writes_and_reads_at_the_leader_are_as_many_as_the_changes(tmp_path: Path) -> None:
    bucket = CountingBucket()
    async with mesh(bucket, tmp_path) as nodes:
        await until(lambda: not any(node.controller.recheck.is_requested for node in nodes))
        writes, gets = bucket.last_revision, bucket.gets
        for change in range(1, CHANGES + 1):
            for node in nodes:
                node.controller.set_endpoints((Endpoint("192.0.2.9", change),))
                await until(node.is_recorded)
        assert bucket.last_revision - writes == NODES * CHANGES
        assert bucket.gets - gets == NODES * CHANGES
        assert {node.controller.follower.stats.whole_walks for node in nodes} == {1}, "the one of the start"
        assert all(len(node.controller.view.peers) == NODES - 1 for node in nodes)
