"""A node goes on in the subnet of an earlier run while nobody else is there, even if its record can't be written."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ikto_core.claim import controller as membership_module
from ikto_core.claim import recheck
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.errors import AddressInUseError, NatsError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.view import Entry
from tests.claim.conftest import OTHER, PEER
from tests.nodes import ADDRESS, OWN, OWN_KEY, SUBNET, Node, put, restarted, shown, until
from tests.samples import KEY, THIRD_KEY, record


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership_module, "RECLAIM_JITTER_S", 0.0)
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0.0)


@pytest.mark.parametrize("own_record", ["stands", "is gone"])
async def test_a_node_that_can_not_write_its_record_follows_all_the_same(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot, own_record: str
) -> None:
    if own_record == "is gone":
        two_peers.write(OWN, None)
    node = await restarted(two_peers, tmp_path, kept)
    two_peers.faults.lose_writes = 10**9
    async with node.running(claim_stands=False):
        await until(lambda: node.controller.recheck.failure)
        put(two_peers, record("10.0.0.96/28", THIRD_KEY))
        two_peers.write(OTHER.key, None)
        await node.reconciler.reconcile()
        assert shown(node).keys() == {KEY, THIRD_KEY}
        assert await node.device_addresses() == {f"{ADDRESS}/24"}
        assert not node.stands()
        two_peers.faults.lose_writes = 0
        await until(node.stands)
        await until(lambda: not node.controller.recheck.failure)


async def test_a_record_of_ours_that_nobody_remembers_writing_is_no_copy_of_us_at_the_start(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    two_peers.write(OWN, None)
    put(two_peers, record("10.0.0.96/28", OWN_KEY, instance="long ago"))
    node = await restarted(two_peers, tmp_path, kept)
    async with node.running():
        assert node.stands()
        await until(lambda: two_peers.live.keys() == {OWN, PEER.key, OTHER.key})


async def test_a_node_without_a_claim_uses_no_address_that_it_can_not_write(
    two_peers: MemoryBucket, tmp_path: Path
) -> None:
    two_peers.faults.lose_writes = 10**9
    with pytest.raises(Exception, match="could not claim"):
        await Node(two_peers, tmp_path).ends()


@pytest.mark.parametrize("taken", [record(SUBNET, THIRD_KEY), record("10.0.0.17/32", THIRD_KEY)])
async def test_an_address_that_another_has_meanwhile_leaves_the_device_and_the_agent_ends(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot, taken: Any
) -> None:
    two_peers.write(OWN, None)
    put(two_peers, taken)
    node = await restarted(two_peers, tmp_path, kept)
    with pytest.raises(AddressInUseError):
        await node.ends()
    assert await node.device_addresses() == set()


@pytest.mark.parametrize("taken", [record(SUBNET, THIRD_KEY), record("10.0.0.17/32", THIRD_KEY)])
async def test_an_address_that_another_has_meanwhile_leaves_the_device_although_the_leader_does_not_answer(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot, taken: Any
) -> None:
    two_peers.write(OWN, None)
    put(two_peers, taken)
    node = await restarted(two_peers, tmp_path, kept)
    await node.controller.follower.resync(two_peers)
    two_peers.faults.fail_reads = 10**9
    with pytest.raises((NatsError, AddressInUseError)):
        async with asyncio.timeout(5):
            await node.controller.keep(two_peers, "192.0.2.1", lambda: None)
    assert await node.device_addresses() == set()


async def test_an_address_that_another_takes_while_we_can_not_write_leaves_the_device_at_once(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    two_peers.write(OWN, None)
    node = await restarted(two_peers, tmp_path, kept)
    two_peers.faults.lose_writes = 10**9
    async with node.running(claim_stands=False):
        await until(lambda: node.controller.recheck.failure)
        two_peers.faults.fail_reads = 10**9  # the leader does not answer us, yet pushes arrive
        put(two_peers, record(SUBNET, THIRD_KEY))
        assert node.controller.record is None
        assert await node.device_addresses() == set()
        assert THIRD_KEY in shown(node)


async def test_a_push_from_before_our_claim_takes_nothing_away(two_peers: MemoryBucket, tmp_path: Path) -> None:
    """Another had our subnet and withdrew it before we claimed it; we hear of it late."""
    async with Node(two_peers, tmp_path).running() as node:
        ours = node.record
        late = Entry(1, encode_record(record(SUBNET, THIRD_KEY)))
        node.controller._bucket_changed({OWN: late})
        assert node.controller.record == ours
