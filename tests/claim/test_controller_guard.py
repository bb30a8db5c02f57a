"""A running node repairs its record in the bucket, and releases an address that belongs to another node."""

import asyncio
from ipaddress import ip_interface
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.claim import controller, recheck
from ikto_core.claim.claimant import ClonedError
from ikto_core.errors import AddressInUseError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.values.addressing import Prefix
from tests.nodes import ADDRESS, OWN_KEY, OWN_KV_KEY, OWN_PRIVATE_KEY, SUBNET, Node, lose, put, until, until_addressed
from tests.samples import KEY, record


def signed_by_own_key(copy: PeerRecord) -> bytes:
    """Return what a copy of the machine writes, later than the node has written."""
    return signed_value(replace(copy, serial=10**15), OWN_PRIVATE_KEY, "ikto-mesh", bytes(64))


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


async def test_a_deleted_own_record_is_written_again(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.write(OWN_KV_KEY, None)
        await until(node.is_recorded)


async def test_a_deleted_own_record_is_written_again_despite_an_overlapping_record(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        put(bucket, record("10.0.0.17/32"))
        bucket.write(OWN_KV_KEY, None)
        assert node.controller.view.peers == {}
        await until(node.is_recorded)


async def test_the_own_record_is_written_again_after_the_bucket_was_recreated(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.recreate()
        await node.controller.follower.resync(bucket)
        await until(node.is_recorded)


async def test_a_changed_own_record_is_repaired(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        put(bucket, replace(node.record, wg_port=1))
        await until(node.is_recorded)


async def test_own_writes_cause_no_further_writes(bucket: MemoryBucket, tmp_path: Path) -> None:
    writes: list[object] = []
    bucket.subscribe(writes.append)
    async with Node(bucket, tmp_path).running() as node:
        bucket.write(OWN_KV_KEY, None)
        await until(node.is_recorded)
        put(bucket, record("10.0.0.64/28"))
        await until(lambda: KEY in node.controller.view.peers)
    assert len(writes) == 4


@pytest.mark.parametrize("junk", [b"", b"{", b"[" * 30_000])
async def test_junk_under_the_own_key_is_replaced(bucket: MemoryBucket, tmp_path: Path, junk: bytes) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.write(OWN_KV_KEY, junk)
        await until(node.is_recorded)


@pytest.mark.parametrize("address", [ADDRESS, "auto"])
async def test_junk_written_while_the_agent_was_down_is_replaced_under_the_saved_claims_key(
    bucket: MemoryBucket, tmp_path: Path, address: str
) -> None:
    async with Node(bucket, tmp_path, private_address=address).running() as node:
        claimed = node.record.key
    bucket.write(claimed, b"{junk")
    async with Node(bucket, tmp_path, seed=2, private_address=address).running() as node:
        assert node.record.key == claimed
        assert node.is_recorded()


async def test_a_failed_write_is_retried_while_the_view_is_updated(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0.0)
    async with Node(bucket, tmp_path).running() as node:
        bucket.faults.fail_reads = 3
        bucket.write(OWN_KV_KEY, None)
        await until(lambda: node.controller.recheck.failure)
        put(bucket, record("10.0.0.64/28"))
        assert KEY in node.controller.view.peers
        await until(node.is_recorded)
        await until(lambda: not node.controller.recheck.failure)


async def test_an_earlier_runs_record_restored_from_a_backup_is_not_taken_for_a_copy(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running():
        restore = bucket.backup()
    async with Node(bucket, tmp_path, seed=2).running() as node:
        assert node.is_recorded()
        restore()
        assert not node.is_recorded()
        await node.controller.follower.resync(bucket)
        await until(node.is_recorded)


async def test_a_restored_record_without_instance_is_not_taken_for_a_copy(bucket: MemoryBucket, tmp_path: Path) -> None:
    put(bucket, record(SUBNET, OWN_KEY, "own"))  # as 0.3.0 wrote it
    restore = bucket.backup()
    for seed in (1, 2):  # in the run that takes it over, and in the next one
        async with Node(bucket, tmp_path, seed=seed).running() as node:
            restore()
            await node.controller.follower.resync(bucket)
            await until(node.is_recorded)


async def test_a_restored_record_from_before_the_state_was_lost_is_not_taken_for_a_copy(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path / "lost").running():
        restore = bucket.backup()
    async with Node(bucket, tmp_path / "new", seed=2).running() as node:
        restore()
        await node.controller.follower.resync(bucket)
        await until(node.is_recorded)


async def test_a_record_that_a_killed_run_had_left_is_deleted_by_the_next_one(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        left = replace(node.record, left=True)
    bucket.write(OWN_KV_KEY, signed_by_own_key(left))
    async with Node(bucket, tmp_path, seed=2, private_address="10.0.0.65").running():
        await until(lambda: OWN_KV_KEY not in bucket.live)


# -- losing the claim --------------------------------------------------------------------------------------------------


async def test_losing_a_configured_address_ends_the_agent_and_leaves_the_other_record(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    other, node = record(SUBNET, KEY, "other"), Node(bucket, tmp_path)
    with pytest.raises(AddressInUseError, match="'other'"):
        await node.run_until_error(lambda: lose(node, other))
    assert bucket.live[OWN_KV_KEY] == encode_record(other)


async def test_after_losing_an_automatic_address_another_is_claimed_and_set_on_the_device(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        before = node.record
        [old_address] = await node.device_addresses()
        await lose(node, replace(before, public_key=KEY))
        await until(lambda: node.controller.record not in {None, before})
        await until_addressed(node)
        [new_address] = await node.device_addresses()
        assert ip_interface(new_address) != ip_interface(old_address)
        assert node.record.subnet.covers(Prefix.parse(f"{ip_interface(new_address).ip}/32"))
        assert node.is_recorded()
        assert node.controller.view.peers[KEY].allowed_ips == {before.subnet}
        saved = node.state.load().claim
        assert saved
        assert f"{saved.private_address}/24" == new_address


async def test_a_lost_address_is_removed_from_the_device_before_another_is_claimed(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    """NATS fails after the loss was seen: the device must not share an address with another node meanwhile."""
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        lost = node.record
        assert await node.device_addresses()
        await lose(node, replace(lost, public_key=KEY))
        bucket.faults.lose_writes = 10**6
        await until(lambda: node.controller.record is None)
        assert await node.device_addresses() == set()
        assert node.controller.view.peers[KEY].allowed_ips == {lost.subnet}
        rebooted = Node(bucket, tmp_path, seed=2, private_address="auto")
        rebooted.controller.resuming.restore(None, 7.0)
        assert rebooted.reconciler.private_address is None, "without NATS nothing says that the address is free again"
        bucket.faults.lose_writes = 0
        await until(lambda: node.controller.record)
        assert node.is_recorded()


async def test_an_address_that_another_node_had_briefly_is_claimed_again(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        before = await node.device_addresses()
        await lose(node, record(SUBNET, KEY))
        bucket.write(OWN_KV_KEY, None)
        assert node.controller.record is None
        await until(node.is_recorded)
        await until_addressed(node)
        assert await node.device_addresses() == before


async def test_a_copy_that_took_over_while_disconnected_is_noticed(bucket: MemoryBucket, tmp_path: Path) -> None:
    original = Node(bucket, tmp_path / "original")
    async with original.running():
        pass
    original.controller.follower.disconnected()
    async with Node(bucket, tmp_path / "copy", seed=2, private_address="10.0.0.65").running() as copy:
        with pytest.raises(ClonedError):
            await original.run_until_error()
        assert bucket.live.keys() == {copy.record.key}


async def test_a_copy_of_the_machine_does_not_make_the_agent_claim_another_address(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    node = Node(bucket, tmp_path, private_address="auto")
    with pytest.raises(ClonedError):
        await node.run_until_error(
            lambda: bucket.write(node.record.key, signed_by_own_key(replace(node.record, instance="copy")))
        )
    assert bucket.live.keys() == {node.record.key}


async def run_both(original: Node, copy: Node) -> None:
    """Start two copies of a machine, and raise the error that ends one of them."""
    async with original.running(), copy.running(), asyncio.timeout(60):
        await asyncio.Event().wait()


@pytest.mark.parametrize("address", [ADDRESS, "10.0.0.65"])
async def test_of_two_copies_the_older_stops_whichever_address_the_newer_claims(
    bucket: MemoryBucket, tmp_path: Path, address: str
) -> None:
    original = Node(bucket, tmp_path / "original")
    copy = Node(bucket, tmp_path / "copy", seed=2, private_address=address)
    with pytest.raises(ClonedError):
        await run_both(original, copy)
    assert copy.is_recorded()
    assert copy.record.key in bucket.live


async def test_a_copy_that_writes_right_after_the_claim_is_noticed(bucket: MemoryBucket, tmp_path: Path) -> None:
    copy = record(SUBNET, OWN_KEY, "copy", instance="copy")
    pending = [signed_by_own_key(copy)]
    node = Node(bucket, tmp_path)

    def take_over(_: object) -> None:
        if pending:
            bucket.write(copy.key, pending.pop())

    bucket.subscribe(node.controller.follower.receive)
    bucket.subscribe(take_over)
    with pytest.raises(ClonedError):
        await node.run_until_error()
    assert bucket.live[OWN_KV_KEY] == signed_by_own_key(copy)
