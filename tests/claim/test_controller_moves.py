"""A node whose host has other addresses advertises them: its record is written again, and nothing else changes."""

import asyncio
from collections.abc import AsyncIterator
from math import inf
from pathlib import Path

import pytest

from ikto_core.claim import controller, listening, recheck
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import PeerRecord, decode_record
from tests.nodes import OWN_KV_KEY, Node, until, until_addressed

V4, V6, OTHER = "192.0.2.1", "2001:db8::1", "192.0.2.77"


@pytest.fixture
def bucket() -> MemoryBucket:
    return MemoryBucket()


@pytest.fixture
async def node(bucket: MemoryBucket, tmp_path: Path) -> AsyncIterator[Node]:
    """A node that has claimed its subnet and uses it."""
    async with Node(bucket, tmp_path).running() as node:
        await until_addressed(node)
        yield node


def recorded(bucket: MemoryBucket) -> PeerRecord:
    return decode_record(OWN_KV_KEY, bucket.live[OWN_KV_KEY])


def endpoints(record: PeerRecord) -> list[str]:
    return [str(endpoint) for endpoint in record.endpoints]


@pytest.mark.usefixtures("node")
async def test_one_address_is_advertised_as_0_3_0_does(bucket: MemoryBucket) -> None:
    assert (recorded(bucket).advertise_address, recorded(bucket).endpoints) == (V4, ())


async def test_two_addresses_are_endpoints_and_the_best_one_is_what_0_3_0_reads(
    node: Node, bucket: MemoryBucket
) -> None:
    node.controller.advertise((V6, V4))
    await until(node.is_recorded)
    assert recorded(bucket).advertise_address == V6
    assert endpoints(recorded(bucket)) == [f"[{V6}]:51820", f"{V4}:51820"]
    node.controller.advertise((V4,))
    await until(node.is_recorded)
    assert (recorded(bucket).advertise_address, recorded(bucket).endpoints) == (V4, ())


async def test_configured_endpoints_stay_as_they_are(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path, endpoints=("198.51.100.1:7",)).running() as node:
        node.controller.advertise((V6, V4))
        await until(node.is_recorded)
        assert recorded(bucket).advertise_address == V6
        assert endpoints(recorded(bucket)) == ["198.51.100.1:7"]


async def test_a_move_is_one_write_at_once_and_the_device_keeps_its_address(
    node: Node, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the pause that spreads the claims of all nodes after a bucket was wiped."""
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", inf)
    before, writes = await node.device_addresses(), list[object]()
    bucket.subscribe(writes.append)
    for _ in range(3):
        node.controller.advertise((OTHER,))
    await until(node.is_recorded)
    await until(lambda: not node.controller.recheck.is_requested)
    assert recorded(bucket).advertise_address == OTHER
    assert len(writes) == 1
    assert await node.device_addresses() == before


async def test_the_same_addresses_are_not_written_again(node: Node, bucket: MemoryBucket) -> None:
    writes: list[object] = []
    bucket.subscribe(writes.append)
    node.controller.advertise((V4,))
    node.controller.advertise(())
    assert not node.controller.recheck.is_requested
    assert node.record.advertise_address == V4
    assert writes == []


@pytest.mark.slow
async def test_a_move_while_nats_does_not_answer_is_written_later(
    node: Node, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "RECLAIM_JITTER_S", 0.0)
    monkeypatch.setattr(recheck, "FIRST_RETRY_S", 0.0)
    bucket.faults.fail_reads = 3
    node.controller.advertise((OTHER,))
    await until(lambda: node.controller.recheck.failure)
    await until(node.is_recorded)
    assert recorded(bucket).advertise_address == OTHER


async def test_a_move_between_two_sessions_is_written_in_the_next_one(bucket: MemoryBucket, tmp_path: Path) -> None:
    node = Node(bucket, tmp_path)
    async with node.running():
        pass
    node.controller.advertise((OTHER,))
    async with node.running():
        assert recorded(bucket).advertise_address == OTHER


async def test_a_move_during_the_first_claim_is_written_at_once(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node, put = Node(bucket, tmp_path), bucket.put

    async def move_and_put(key: str, value: bytes | None, *, expected: int) -> int:
        node.controller.advertise((OTHER,))
        return await put(key, value, expected=expected)

    monkeypatch.setattr(bucket, "put", move_and_put)
    async with node.running():
        await until(lambda: recorded(bucket).advertise_address == OTHER)


async def test_a_move_while_the_node_still_listens_does_not_cost_it_its_address(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its device gets the address a moment after the claim."""
    monkeypatch.setattr(listening, "LISTEN_S", 0.2)
    node = Node(bucket, tmp_path)
    bucket.subscribe(node.controller.follower.receive)
    await node.controller.follower.resync(bucket)
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(node.controller.keep(bucket, lambda: None))
        await until(lambda: node.controller.record)
        assert await node.device_addresses() == set()
        node.controller.advertise((OTHER,))
        await until_addressed(node)
        keeping.cancel()
    assert recorded(bucket).advertise_address == OTHER
