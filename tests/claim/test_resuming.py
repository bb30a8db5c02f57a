"""A node uses the subnet of its saved claim while no other node has it, even if its record can't be written."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from ikto_core.claim import controller, recheck
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.errors import AddressInUseError, NatsError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.pins import HOLD_S
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.view import Entry
from tests.claim.conftest import OTHER, PEER
from tests.nodes import ADDRESS, OWN_KEY, OWN_KV_KEY, SUBNET, Node, device_endpoints, put, restarted, until
from tests.samples import KEY, THIRD_KEY, record


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0.0)


@pytest.mark.parametrize("self_record", ["present", "missing"])
async def test_a_node_that_cannot_write_its_record_still_follows_the_bucket(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot, self_record: str
) -> None:
    if self_record == "missing":
        two_peers.write(OWN_KV_KEY, None)
    node = await restarted(two_peers, tmp_path, snapshot)
    two_peers.faults.lose_writes = 10**9
    async with node.running(wait_for_record=False):
        await until(lambda: node.controller.recheck.failure)
        put(two_peers, record("10.0.0.96/28", THIRD_KEY))
        two_peers.write(OTHER.key, None)
        await node.reconciler.reconcile()
        assert device_endpoints(node).keys() == {KEY, THIRD_KEY}
        assert await node.device_addresses() == {f"{ADDRESS}/24"}
        assert not node.is_recorded()
        two_peers.faults.lose_writes = 0
        await until(node.is_recorded)
        await until(lambda: not node.controller.recheck.failure)


async def test_an_own_record_of_an_unknown_instance_is_not_taken_for_a_copy_at_the_start(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    two_peers.write(OWN_KV_KEY, None)
    put(two_peers, record("10.0.0.96/28", OWN_KEY, instance="long ago"))
    node = await restarted(two_peers, tmp_path, snapshot)
    async with node.running():
        assert node.is_recorded()
        await until(lambda: two_peers.live.keys() == {OWN_KV_KEY, PEER.key, OTHER.key})


async def test_a_node_without_a_saved_claim_uses_no_address_before_its_record_is_written(
    two_peers: MemoryBucket, tmp_path: Path
) -> None:
    two_peers.faults.lose_writes = 10**9
    with pytest.raises(Exception, match="could not claim"):
        await Node(two_peers, tmp_path).run_until_error()


@pytest.mark.parametrize("taken", [record(SUBNET, THIRD_KEY), record("10.0.0.17/32", THIRD_KEY)])
async def test_an_address_taken_meanwhile_is_removed_from_the_device_and_the_agent_ends(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot, taken: Any
) -> None:
    two_peers.write(OWN_KV_KEY, None)
    put(two_peers, taken)
    node = await restarted(two_peers, tmp_path, snapshot, after_s=HOLD_S)
    with pytest.raises(AddressInUseError):
        await node.run_until_error()
    assert await node.device_addresses() == set()


@pytest.mark.parametrize("taken", [record(SUBNET, THIRD_KEY), record("10.0.0.17/32", THIRD_KEY)])
async def test_an_address_taken_meanwhile_is_removed_although_the_leader_does_not_answer(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot, taken: Any
) -> None:
    two_peers.write(OWN_KV_KEY, None)
    put(two_peers, taken)
    node = await restarted(two_peers, tmp_path, snapshot, after_s=HOLD_S)
    await node.controller.follower.resync(two_peers)
    two_peers.faults.fail_reads = 10**9
    with pytest.raises((NatsError, AddressInUseError)):
        async with asyncio.timeout(60):
            await node.controller.keep(two_peers, lambda: None)
    assert await node.device_addresses() == set()


async def test_an_address_taken_while_the_record_cannot_be_written_is_removed_at_once(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    two_peers.write(OWN_KV_KEY, None)
    node = await restarted(two_peers, tmp_path, snapshot, after_s=HOLD_S)
    two_peers.faults.lose_writes = 10**9
    async with node.running(wait_for_record=False):
        await until(lambda: node.controller.recheck.failure)
        two_peers.faults.fail_reads = 10**9  # the leader does not answer, but pushes arrive
        put(two_peers, record(SUBNET, THIRD_KEY))
        assert node.controller.record is None
        assert await node.device_addresses() == set()
        assert THIRD_KEY in device_endpoints(node)


async def test_a_push_older_than_the_claim_does_not_release_it(two_peers: MemoryBucket, tmp_path: Path) -> None:
    """Another node had the subnet and withdrew before this one claimed it; the push of its record arrives late."""
    async with Node(two_peers, tmp_path).running() as node:
        claimed = node.record
        late = Entry(1, encode_record(record(SUBNET, THIRD_KEY)))
        node.controller._bucket_changed({OWN_KV_KEY: late})
        assert node.controller.record == claimed
