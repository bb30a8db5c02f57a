"""Another machine takes a node's place, as docs/node-life.md says, on a peer that has pinned the node's record."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ikto_core.claim import controller
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import record_key
from ikto_core.values.keys import PrivateKey
from tests.nodes import Node, until

ADDRESS, KV_KEY = "10.0.0.66", record_key("10.0.0.64/28")
OLD, NEW = PrivateKey(bytes([80] * 32)), PrivateKey(bytes([96] * 32))


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Node]:
    """A running node whose only peer is the old machine, which is off now."""
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path / "peer").running() as node:
        async with machine(node, tmp_path / "old", OLD).running():
            pass
        await until(lambda: names(node) == {"old"})
        yield node


def machine(peer: Node, state_dir: Path, key: PrivateKey) -> Node:
    return Node(peer.bucket, state_dir, seed=2, private_key=key, private_address=ADDRESS, name=state_dir.name)


def names(node: Node) -> set[str]:
    return {peer.name for peer in node.controller.view.peers.values()}


async def test_a_new_machine_with_the_old_key_is_the_same_peer_at_once(peer: Node, tmp_path: Path) -> None:
    async with machine(peer, tmp_path / "new", OLD).running():
        await until(lambda: names(peer) == {"new"})
        assert not peer.controller.view.quarantined


async def test_a_new_key_gets_the_subnet_at_once_if_the_deletion_was_released_before(
    peer: Node, tmp_path: Path
) -> None:
    peer.bucket.write(KV_KEY, None)
    assert peer.desired_state.release() == 1
    async with machine(peer, tmp_path / "new", NEW).running():
        await until(lambda: names(peer) == {"new"})
        assert not peer.controller.view.quarantined


async def test_a_release_that_comes_too_late_is_repeated_after_another_deletion(peer: Node, tmp_path: Path) -> None:
    peer.bucket.write(KV_KEY, None)
    async with machine(peer, tmp_path / "new", NEW).running():
        await until(lambda: KV_KEY in peer.controller.view.quarantined)
        assert peer.desired_state.release() == 0
        assert names(peer) == {"old"}
    peer.bucket.write(KV_KEY, None)
    assert peer.desired_state.release() == 1
    async with machine(peer, tmp_path / "new", NEW).running():
        await until(lambda: names(peer) == {"new"})
        assert not peer.controller.view.quarantined
