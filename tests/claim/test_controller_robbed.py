"""Nobody gives up an address, or stops as a clone, because of a record without the proof of its key."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.claim import controller, recheck
from ikto_core.claim.claimant import Claimant
from ikto_core.claim.holding import LONGEST_ABSENCE_S
from ikto_core.claim.other_records import WITHDRAWN_AT_ONCE
from ikto_core.errors import AddressInUseError
from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.mesh.pins import HOLD_S
from ikto_core.mesh.records import encode_record
from ikto_core.store.interfaces import RecordStore
from tests.nodes import ADDRESS, OWN_KEY, OWN_KV_KEY, SUBNET, Node, put, restarted, snapshot_of_a_run, until
from tests.samples import KEY, PRIVATE_KEYS, record, signed

ROBBER = record(SUBNET, KEY, "robber", instance="robber")


@pytest.fixture(autouse=True)
def _no_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0.0)


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


def alarms(node: Node) -> int:
    return node.desired_state.proofs.stats.alarms


async def assert_unharmed(node: Node) -> None:
    """Wait until the record is there again; neither the device nor the subnet have changed."""
    await until(node.is_recorded)
    assert node.record.allowed_ip == SUBNET
    assert await node.device_addresses() == {f"{ADDRESS}/24"}


@pytest.mark.parametrize("address", [ADDRESS, "auto"])
@pytest.mark.parametrize(
    "attack",
    [
        pytest.param(encode_record(ROBBER), id="another key"),
        pytest.param(signed(ROBBER, 10**15), id="another key, proved"),
        pytest.param(encode_record(replace(ROBBER, public_key=OWN_KEY)), id="own key, unknown instance"),
        pytest.param(encode_record(ROBBER).replace(b'"wg_port":', b'"wg_port":9'), id="another key, invalid"),
        pytest.param(b'{"type":"io.nats.jetstream.api.v1.stream_info_response"}', id="an answer of the server"),
    ],
)
async def test_a_robbed_node_keeps_its_address_and_writes_its_record_again(
    bucket: MemoryBucket, tmp_path: Path, address: str, attack: bytes
) -> None:
    async with Node(bucket, tmp_path).running():
        pass  # so that "auto" has the same address
    async with Node(bucket, tmp_path, private_address=address).running() as node:
        await until(lambda: not node.controller._own.starting)
        for attacks in range(1, 4):
            bucket.write(OWN_KV_KEY, attack)
            assert node.controller.record, "it does not let go before it has asked the leader"
            await assert_unharmed(node)
            assert alarms(node) == attacks


async def test_what_only_the_leader_shows_is_left_until_the_followed_bucket_shows_it(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.faults.delivery = Delivery.DROPPED
        put(bucket, ROBBER)
        node.controller.recheck.request()
        await until(lambda: node.controller.recheck.failure)
        assert "overwritten by 'robber'" in node.controller.recheck.failure
        assert await node.device_addresses() == {f"{ADDRESS}/24"}
        await node.controller.follower.resync(bucket)
        await assert_unharmed(node)


@pytest.mark.parametrize("name", ["unknown", "own"])
async def test_a_record_in_this_nodes_name_under_another_kv_key_stops_nobody(
    bucket: MemoryBucket, tmp_path: Path, name: str
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        instance = node.record.instance if name == "own" else "unknown"
        forged = record("10.0.0.96/28", OWN_KEY, "forged", instance=instance)
        bucket.faults.deny = frozenset({forged.key})
        put(bucket, forged)
        await assert_unharmed(node)
        await until(lambda: not node.controller.recheck.is_requested and alarms(node))
        assert alarms(node) == 1


async def test_a_replay_of_an_earlier_record_of_an_unknown_run_is_not_taken_for_a_copy(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path / "lost").running():
        replayed = bucket.live[OWN_KV_KEY]
    bucket.write(OWN_KV_KEY, None)
    async with Node(bucket, tmp_path / "new", seed=2).running() as node:
        bucket.write(OWN_KV_KEY, replayed)
        await assert_unharmed(node)


async def test_a_node_that_is_robbed_before_it_has_written_its_record_again_keeps_its_address(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    """Also if it was killed, and has no snapshot."""
    async with Node(bucket, tmp_path).running():
        pass
    bucket.faults.lose_writes = 10**9
    async with Node(bucket, tmp_path, seed=2).running(wait_for_record=False) as node:
        put(bucket, ROBBER)
        assert node.controller.record
        bucket.faults.lose_writes = 0
        await assert_unharmed(node)


@pytest.mark.parametrize("after_s", [0.0, LONGEST_ABSENCE_S - 30])
async def test_a_node_that_was_robbed_during_a_restart_keeps_its_address(
    bucket: MemoryBucket, tmp_path: Path, after_s: float
) -> None:
    snapshot = await snapshot_of_a_run(bucket, tmp_path)
    put(bucket, ROBBER)
    node = await restarted(bucket, tmp_path, snapshot, after_s=after_s)
    async with node.running():
        await assert_unharmed(node)


async def test_a_node_that_was_away_for_long_finds_that_its_address_is_in_use(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    snapshot = await snapshot_of_a_run(bucket, tmp_path)
    put(bucket, ROBBER)
    node = await restarted(bucket, tmp_path, snapshot, after_s=HOLD_S)
    with pytest.raises(AddressInUseError, match="'robber'"):
        await node.run_until_error()


async def test_who_claimed_a_deleted_record_s_subnet_gives_it_back(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator deletes a record whose node lives, and another node is quicker: one of them has to yield."""
    late = asyncio.Event()
    async with Node(bucket, tmp_path / "owner").running() as owner:
        check = owner.controller._check

        async def check_late(store: RecordStore) -> None:
            await late.wait()
            await check(store)

        monkeypatch.setattr(owner.controller, "_check", check_late)
        bucket.write(OWN_KV_KEY, None)
        newcomer = Node(bucket, tmp_path / "newcomer", seed=2, private_key=PRIVATE_KEYS[3], name="newcomer")
        with pytest.raises(AddressInUseError, match="in use by 'own'"):
            await newcomer.run_until_error(late.set)
        await assert_unharmed(owner)


@pytest.mark.parametrize(("after_s", "gives_it_back"), [(1.0, True), (LONGEST_ABSENCE_S - 30, True), (HOLD_S, False)])
async def test_it_gives_it_back_after_a_restart_too(
    bucket: MemoryBucket, tmp_path: Path, after_s: float, *, gives_it_back: bool
) -> None:
    """Otherwise both would write their records over the other's without end."""
    put(bucket, ROBBER)
    bucket.write(OWN_KV_KEY, None)
    snapshot = await snapshot_of_a_run(bucket, tmp_path)
    assert snapshot.own_yields_since == pytest.approx(snapshot.saved_at, abs=5)
    node = await restarted(bucket, tmp_path, replace(snapshot, own_seen_at=7.0 + after_s), after_s=after_s)
    if gives_it_back:
        with pytest.raises(AddressInUseError, match="in use by 'robber'"):
            await node.run_until_error(lambda: put(bucket, ROBBER))
    else:
        async with node.running():
            put(bucket, ROBBER)
            await assert_unharmed(node)


def forge(bucket: MemoryBucket, count: int, instance: str) -> None:
    """Write records that name this node's key, under other KV keys."""
    for number in range(count):
        put(bucket, record(f"10.0.0.{64 + number}/32", OWN_KEY, instance=instance))


async def test_a_node_that_withdraws_forged_records_looks_after_its_own_record_meanwhile(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What this installation wrote earlier is withdrawn, and anybody can copy the id of such a run from a record."""
    async with Node(bucket, tmp_path).running() as node:
        await until(lambda: not node.controller._own.starting)
        withdrawn, forged = [], 3 * WITHDRAWN_AT_ONCE
        withdraw = Claimant.withdraw

        async def counted(claimant: Claimant, store: RecordStore, key: str) -> bool:
            withdrawn.append(key)
            if len(withdrawn) == 1:
                put(bucket, ROBBER)
            elif len(withdrawn) == forged:
                assert node.is_recorded(), "not only after all of them"
            return await withdraw(claimant, store, key)

        monkeypatch.setattr(Claimant, "withdraw", counted)
        forge(bucket, forged, node.controller.identity.instance)
        await until(lambda: len(bucket.live) == 1)
        await assert_unharmed(node)
        assert len(withdrawn) == forged


async def test_a_change_of_another_record_does_not_look_at_all_forged_records_again(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        await until(lambda: not node.controller._own.starting)
        forge(bucket, 5, "unknown")
        assert len(node.controller.view.own_records) == 6
        assert not node.controller.view.take_new_own_records()
        assert alarms(node) == 5
        put(bucket, record("10.0.0.32/28", KEY))
        assert alarms(node) == 5
