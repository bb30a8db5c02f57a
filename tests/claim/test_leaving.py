"""A node that leaves withdraws its records through the loop that guards them, and comes back only if told."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.errors import NatsError, RevisionConflictError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import encode_record
from tests.nodes import OWN_KEY, OWN_KV_KEY, SUBNET, Node, put, until
from tests.samples import KEY, record


async def test_the_record_is_withdrawn_and_not_written_again(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path).running() as node:
        leaving = node.controller.leaving
        leaving.request()
        await until(leaving.ended.is_set)
        assert leaving.left.is_set()
        assert leaving.kv_key == OWN_KV_KEY
        assert OWN_KV_KEY not in bucket.live
        assert await node.device_addresses() == set()
        revision = bucket.last_revision
        await node.controller.follower.resync(bucket)  # it sees that its record is gone
        node.controller.recheck.request()
        await until(lambda: not node.controller.recheck.is_requested)
        assert bucket.last_revision == revision


async def test_the_last_record_says_that_the_node_has_left(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    values: list[bytes | None] = []
    bucket.subscribe(lambda message: values.append(message.value))
    async with Node(bucket, tmp_path).running() as node:
        node.controller.leaving.request()
        await until(node.controller.leaving.ended.is_set)
    assert values[-1] is None
    assert b'"left":true' in (values[-2] or b"")


async def test_the_claim_is_kept_and_not_used_before_the_bucket_shows_that_it_is_free(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path).running() as node:
        node.controller.leaving.request()
        await until(node.controller.leaving.ended.is_set)
    state = node.state.load()
    assert state.claim
    assert state.released
    async with Node(bucket, tmp_path).running() as again:
        assert again.record.allowed_ip == SUBNET


async def test_a_node_that_stays_after_all_keeps_its_record(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path).running() as node:
        bucket.faults.deny = frozenset([OWN_KV_KEY])
        node.controller.leaving.request()
        await until(node.controller.leaving.ended.is_set)
        assert not node.controller.leaving.left.is_set()
        assert "denied this node to withdraw" in str(node.controller.leaving.failure)
        assert not node.controller._claimant.denied
        bucket.faults.deny = frozenset()
        node.controller.leaving.cancel()
        bucket.write(OWN_KV_KEY, None)
        await until(node.is_recorded)
        node.controller.leaving.request()  # it can be asked again
        await until(node.controller.leaving.left.is_set)
        assert OWN_KV_KEY not in bucket.live


@pytest.mark.parametrize("fault", ["lose_answers", "lose_writes"])
async def test_a_lost_answer_is_asked_for_again(tmp_path: Path, fault: str) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path).running() as node:
        setattr(bucket.faults, fault, 1)
        node.controller.leaving.request()
        await until(node.controller.leaving.ended.is_set)
        assert getattr(bucket.faults, fault) == 0
        assert OWN_KV_KEY not in bucket.live


async def test_another_node_s_record_stays(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path).running() as node:
        bucket.recreate()
        put(bucket, record(SUBNET, KEY))
        node.controller.leaving.request()
        await until(node.controller.leaving.ended.is_set)
        assert bucket.live[OWN_KV_KEY] == encode_record(record(SUBNET, KEY))


async def test_a_node_that_has_not_claimed_yet_claims_nothing(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    node = Node(bucket, tmp_path)
    node.controller.leaving.request()
    async with node.running(wait_for_record=False):
        await until(node.controller.leaving.ended.is_set)
        assert bucket.last_revision == 0


async def test_without_an_agent_the_records_of_earlier_runs_are_withdrawn(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    async with Node(bucket, tmp_path).running() as node:
        moved = replace(node.record, allowed_ip="10.0.0.32/28", address="")
    put(bucket, moved)
    other = record("10.0.0.48/28", KEY)
    put(bucket, other)
    later = Node(bucket, tmp_path, seed=2)
    await later.controller.follower.resync(bucket)
    assert await later.controller.withdraw_records(bucket) == sorted([OWN_KV_KEY, moved.key])
    assert list(bucket.live) == [other.key]


async def test_without_state_and_address_all_records_with_the_key_are_withdrawn(tmp_path: Path) -> None:
    bucket = MemoryBucket()
    for allowed_ip in (SUBNET, "10.0.0.32/28"):
        put(bucket, record(allowed_ip, OWN_KEY, instance="unknown"))
    node = Node(bucket, tmp_path, private_address="auto")
    await node.controller.follower.resync(bucket)
    await node.controller.withdraw_records(bucket)
    assert not bucket.live


class Contested(MemoryBucket):
    """A bucket in which another writer is always faster."""

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        raise RevisionConflictError(f"{key}: {expected} {value!r}")


async def test_a_record_that_is_written_again_and_again_is_given_up_for_now(tmp_path: Path) -> None:
    bucket = Contested()
    put(bucket, record(SUBNET, OWN_KEY))
    node = Node(bucket, tmp_path)
    await node.controller.follower.resync(bucket)
    with pytest.raises(NatsError, match="written again and again"):
        await node.controller.withdraw_records(bucket)


async def test_a_drain_is_in_the_record_until_the_node_stays_or_starts_again(tmp_path: Path) -> None:
    bucket = MemoryBucket()

    def draining() -> bool:
        return b'"draining":true' in bucket.live[OWN_KV_KEY]

    async with Node(bucket, tmp_path).running() as node:
        node.controller.drain(draining=True)
        await until(draining)
        node.controller.advertise(("192.0.2.9",))
        await until(lambda: b"192.0.2.9" in bucket.live[OWN_KV_KEY])
        assert draining()
        node.controller.drain(draining=False)
        await until(lambda: not draining())
        node.controller.drain(draining=True)
        await until(draining)
    async with Node(bucket, tmp_path).running():
        await until(lambda: not draining())
