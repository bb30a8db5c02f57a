"""A record that is rewritten again and again costs the device few writes, and the latest one is there in the end."""

import asyncio
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.claim import desired_state
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh import change_limit
from ikto_core.mesh.change_limit import AT_ONCE, EVERY_S
from ikto_core.mesh.pins import HOLD_S
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey
from tests.claim.conftest import OTHER, PEER
from tests.nodes import Node, put, until
from tests.samples import KEY, OTHER_KEY, record, signed

TIMES = 122
LATEST = public_key_of(100 + TIMES - 1)


async def on_device(node: Node) -> set[PublicKey]:
    await node.reconciler.reconcile()
    device = node.host.device("wg0")
    assert device
    return set(device.peers)


async def rewrite(bucket: MemoryBucket, node: Node, times: int = TIMES) -> None:
    """Rewrite a record with another key each time; the device is brought in sync each time."""
    for number in range(times):
        put(bucket, record(PEER.allowed_ip, public_key_of(100 + number)))
        await node.reconciler.reconcile()


async def test_122_rewrites_of_one_record_cost_a_few_writes_and_the_latest_is_applied(
    two_peers: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Node(two_peers, tmp_path).running() as node:
        now = time.monotonic()
        monkeypatch.setattr(node.desired_state, "clock", lambda: now)
        assert await on_device(node) == {KEY, OTHER_KEY}
        writes = len(node.host.writes)
        with capture_logs() as logs:
            await rewrite(two_peers, node)
        assert len(node.host.writes) - writes == AT_ONCE - 1, "the record that was there at the start counts too"
        assert [entry["first"] for entry in logs if entry["event"] == "records change too often"] == [PEER.allowed_ip]
        assert not node.reconciler.pending_removals
        put(two_peers, record(OTHER.allowed_ip, OTHER_KEY, name="renamed"))
        assert node.controller.view.peers[OTHER_KEY].name == "renamed", "other records are not affected"
        now += EVERY_S
        node.desired_state.expire()
        assert await on_device(node) == {LATEST, OTHER_KEY}
        assert len(node.host.writes) - writes == AT_ONCE


@pytest.mark.slow
async def test_the_latest_change_is_applied_without_any_further_one(
    two_peers: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desired_state, "SHORTEST_PAUSE_S", 0.0)
    async with Node(two_peers, tmp_path).running() as node, asyncio.TaskGroup() as tasks:
        running = tasks.create_task(node.desired_state.expire_regularly())
        await asyncio.sleep(0)
        monkeypatch.setattr(change_limit, "EVERY_S", 0.001)
        await rewrite(two_peers, node)
        await until(lambda: LATEST in node.controller.view.peers)
        running.cancel()


async def test_nothing_waits_while_the_bucket_is_not_followed(two_peers: MemoryBucket, tmp_path: Path) -> None:
    async with Node(two_peers, tmp_path).running() as node:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(node.desired_state.expire_regularly())
            await asyncio.sleep(0)
            await rewrite(two_peers, node)
            assert LATEST not in node.controller.view.peers
            running.cancel()
        assert LATEST in node.controller.view.peers


async def test_a_bucket_that_is_read_anew_counts_as_it_is(two_peers: MemoryBucket, tmp_path: Path) -> None:
    async with Node(two_peers, tmp_path).running() as node:
        await rewrite(two_peers, node)
        follower = node.controller.follower
        node.desired_state.from_bucket(follower.table, follower.revision, "10.0.0.18")
        assert LATEST in node.controller.view.peers
        assert not node.desired_state.change_limit.waiting


async def test_a_bucket_with_another_history_counts_at_once(two_peers: MemoryBucket, tmp_path: Path) -> None:
    async with Node(two_peers, tmp_path).running() as node:
        await rewrite(two_peers, node)
        node.desired_state.update({}, node.controller.follower.revision, histories=7)
        assert LATEST in node.controller.view.peers


async def test_a_robber_that_overwrites_a_record_all_the_time_does_not_end_its_pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The robber is always the last to write, so what the owner writes in between is left out."""
    bucket = MemoryBucket()
    owner, robber = record(PEER.allowed_ip, KEY), record(PEER.allowed_ip, OTHER_KEY)
    async with Node(bucket, tmp_path).running() as node:
        now = time.monotonic()
        monkeypatch.setattr(node.desired_state, "clock", lambda: now)
        for second in range(int(HOLD_S) + 100):
            bucket.write(owner.key, signed(owner, second + 1))
            bucket.write(owner.key, signed(robber, second + 1))
            now += 1
            node.desired_state.expire()
        assert await on_device(node) == {KEY}
        now += HOLD_S
        node.desired_state.expire()  # nothing was written for long, so this node has seen all there was
        node.desired_state.expire()
        assert await on_device(node) == {OTHER_KEY}


async def test_the_time_without_the_bucket_does_not_count_as_the_owners_absence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the owner wrote meanwhile was overwritten again before this node came back."""
    bucket = MemoryBucket()
    owner, robber = record(PEER.allowed_ip, KEY), record(PEER.allowed_ip, OTHER_KEY)
    bucket.write(owner.key, signed(owner))
    now = time.monotonic()

    async def follow() -> None:
        running = asyncio.create_task(node.desired_state.expire_regularly())
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait([running])

    async with Node(bucket, tmp_path).running() as node:
        monkeypatch.setattr(node.desired_state, "clock", lambda: now)
        bucket.write(owner.key, signed(robber))
        await follow()
        now += HOLD_S
        await follow()
        node.desired_state.expire()
        assert await on_device(node) == {KEY}
        now += HOLD_S
        node.desired_state.expire()
        assert await on_device(node) == {OTHER_KEY}
