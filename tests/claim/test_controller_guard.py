"""A node keeps its claim whatever happens to the bucket, and lets go of what is not its own any more."""

import asyncio
from ipaddress import ip_interface
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.claim import controller, recheck
from ikto_core.claim.claimant import ClonedError
from ikto_core.errors import AddressInUseError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import encode_record
from ikto_core.values.addressing import Prefix
from tests.nodes import ADDRESS, OWN, OWN_KEY, SUBNET, Node, put, until
from tests.samples import KEY, record


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


async def test_our_deleted_record_is_written_again(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.write(OWN, None)
        await until(node.stands)


async def test_our_deleted_record_is_written_again_although_another_claims_some_of_our_subnet(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        put(bucket, record("10.0.0.17/32"))
        bucket.write(OWN, None)
        assert node.controller.view.peers == {}
        await until(node.stands)


async def test_after_the_bucket_was_made_anew_our_record_is_written_again(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.recreate()
        await node.controller.follower.resync(bucket)
        await until(node.stands)


async def test_our_record_is_mended_if_somebody_changed_it(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        put(bucket, replace(node.record, wg_port=1))
        await until(node.stands)


async def test_our_own_writes_make_no_further_ones(bucket: MemoryBucket, tmp_path: Path) -> None:
    writes: list[object] = []
    bucket.subscribe(writes.append)
    async with Node(bucket, tmp_path).running() as node:
        bucket.write(OWN, None)
        await until(node.stands)
        put(bucket, record("10.0.0.64/28"))
        await until(lambda: KEY in node.controller.view.peers)
    assert len(writes) == 4


@pytest.mark.parametrize("junk", [b"", b"{", b"[" * 30_000])
async def test_junk_in_the_place_of_our_record_is_replaced(bucket: MemoryBucket, tmp_path: Path, junk: bytes) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.write(OWN, junk)
        await until(node.stands)


@pytest.mark.parametrize("address", [ADDRESS, "auto"])
async def test_junk_that_came_while_we_were_down_is_replaced_in_the_subnet_of_our_claim(
    bucket: MemoryBucket, tmp_path: Path, address: str
) -> None:
    async with Node(bucket, tmp_path, private_address=address).running() as node:
        claimed = node.record.key
    bucket.write(claimed, b"{junk")
    async with Node(bucket, tmp_path, seed=2, private_address=address).running() as node:
        assert node.record.key == claimed
        assert node.stands()


async def test_a_write_that_fails_is_tried_again_and_the_mesh_goes_on(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0.0)
    async with Node(bucket, tmp_path).running() as node:
        bucket.faults.fail_reads = 3
        bucket.write(OWN, None)
        await until(lambda: node.controller.recheck.failure)
        put(bucket, record("10.0.0.64/28"))
        assert KEY in node.controller.view.peers
        await until(node.stands)
        await until(lambda: not node.controller.recheck.failure)


async def test_an_older_backup_with_a_record_of_an_earlier_run_is_no_copy_of_us(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running():
        restore = bucket.backup()
    async with Node(bucket, tmp_path, seed=2).running() as node:
        assert node.stands()
        restore()
        assert not node.stands()
        await node.controller.follower.resync(bucket)
        await until(node.stands)


async def test_a_backup_from_before_ikto_wrote_instances_is_no_copy_of_us(bucket: MemoryBucket, tmp_path: Path) -> None:
    put(bucket, record(SUBNET, OWN_KEY, "ours"))  # as 0.3.0 wrote it
    restore = bucket.backup()
    for seed in (1, 2):  # in the run that has taken it over, and in the next one
        async with Node(bucket, tmp_path, seed=seed).running() as node:
            restore()
            await node.controller.follower.resync(bucket)
            await until(node.stands)


async def test_a_backup_with_a_record_from_before_our_disk_was_lost_is_no_copy_of_us(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path / "lost").running():
        restore = bucket.backup()
    async with Node(bucket, tmp_path / "new", seed=2).running() as node:
        restore()
        await node.controller.follower.resync(bucket)
        await until(node.stands)


# -- losing the claim --------------------------------------------------------------------------------------------------


async def test_a_configured_address_that_another_has_taken_is_let_go(bucket: MemoryBucket, tmp_path: Path) -> None:
    theirs = record(SUBNET, KEY, "theirs")
    with pytest.raises(AddressInUseError, match="'theirs'"):
        await Node(bucket, tmp_path).ends(lambda: put(bucket, theirs))
    assert bucket.live[OWN] == encode_record(theirs)


async def test_who_has_lost_an_automatic_address_claims_another_and_its_device_moves(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        before = node.record
        [old_address] = await node.device_addresses()
        put(bucket, replace(before, public_key=KEY))
        await until(lambda: node.controller.record not in {None, before})
        [new_address] = await node.device_addresses()
        assert ip_interface(new_address) != ip_interface(old_address)
        assert node.record.subnet.covers(Prefix.parse(f"{ip_interface(new_address).ip}/32"))
        assert node.stands()
        assert node.controller.view.peers[KEY].allowed_ips == {before.subnet}
        kept = node.state.load().claim
        assert kept
        assert f"{kept.private_address}/24" == new_address


async def test_a_lost_address_leaves_the_device_before_another_is_found(bucket: MemoryBucket, tmp_path: Path) -> None:
    """NATS is of no more help after the loss was seen; whoever has the address now must not share it with us."""
    async with Node(bucket, tmp_path, private_address="auto").running() as node:
        lost = node.record
        assert await node.device_addresses()
        put(bucket, replace(lost, public_key=KEY))
        bucket.faults.lose_writes = 10**6
        await until(lambda: node.controller.record is None)
        assert await node.device_addresses() == set()
        assert node.controller.view.peers[KEY].allowed_ips == {lost.subnet}
        bucket.faults.lose_writes = 0
        await until(lambda: node.controller.record)
        assert node.stands()


async def test_an_address_that_another_had_for_a_moment_is_ours_again(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        before = await node.device_addresses()
        put(bucket, record(SUBNET, KEY))
        bucket.write(OWN, None)
        assert node.controller.record is None
        await until(node.stands)
        assert await node.device_addresses() == before


async def test_a_copy_that_took_over_while_we_were_away_is_noticed(bucket: MemoryBucket, tmp_path: Path) -> None:
    original = Node(bucket, tmp_path / "original")
    async with original.running():
        pass
    original.controller.follower.disconnected()
    async with Node(bucket, tmp_path / "copy", seed=2, private_address="10.0.0.65").running() as copy:
        with pytest.raises(ClonedError):
            await original.ends()
        assert bucket.live.keys() == {copy.record.key}


async def test_a_copy_of_us_is_no_reason_to_claim_another_address(bucket: MemoryBucket, tmp_path: Path) -> None:
    node = Node(bucket, tmp_path, private_address="auto")
    with pytest.raises(ClonedError):
        await node.ends(lambda: put(bucket, replace(node.record, instance="copy")))
    assert bucket.live.keys() == {node.record.key}


async def start_a_copy(original: Node, copy: Node) -> None:
    async with original.running(), copy.running(), asyncio.timeout(5):
        await asyncio.Event().wait()


@pytest.mark.parametrize("address", [ADDRESS, "10.0.0.65"])
async def test_of_two_copies_of_a_machine_the_older_stops_wherever_the_newcomer_goes(
    bucket: MemoryBucket, tmp_path: Path, address: str
) -> None:
    original = Node(bucket, tmp_path / "original")
    copy = Node(bucket, tmp_path / "copy", seed=2, private_address=address)
    with pytest.raises(ClonedError):
        await start_a_copy(original, copy)
    assert copy.stands()
    assert bucket.live.keys() == {copy.record.key}


async def test_a_copy_that_writes_as_soon_as_we_have_claimed_is_noticed(bucket: MemoryBucket, tmp_path: Path) -> None:
    copy = record(SUBNET, OWN_KEY, "copy", instance="copy")
    pending = [copy]
    node = Node(bucket, tmp_path)
    bucket.subscribe(node.controller.follower.receive)
    bucket.subscribe(lambda _: put(bucket, pending.pop()) if pending else None)
    with pytest.raises(ClonedError):
        await node.ends()
    assert bucket.live[OWN] == encode_record(copy)
