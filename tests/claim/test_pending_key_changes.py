"""If many records get other keys at once, a node keeps most of its peers, also over a restart, until it is told."""

import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.key_changes import WAITS
from ikto_core.mesh.pins import HOLD_S
from ikto_core.mesh.records import PeerRecord
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey
from tests.nodes import Node, put, restarted
from tests.samples import record

COUNT, AT_ONCE = 12, 5
NUMBERS = range(2, 2 + COUNT)
HONEST, HOSTILE = (frozenset(public_key_of(n + offset) for n in NUMBERS) for offset in (0, 100))


def peer(number: int, offset: int = 0) -> PeerRecord:
    return record(f"10.0.0.{16 * number}/28", public_key_of(number + offset), f"peer-{number}")


@pytest.fixture
def bucket() -> MemoryBucket:
    """Return a bucket with the records of twelve nodes that do not sign."""
    bucket = MemoryBucket()
    for number in NUMBERS:
        put(bucket, peer(number))
    return bucket


def take_all(bucket: MemoryBucket) -> None:
    for number in NUMBERS:
        put(bucket, peer(number, 100))


async def on_device(node: Node) -> set[PublicKey]:
    await node.reconciler.reconcile()
    device = node.host.device("wg0")
    assert device
    return set(device.peers)


async def assert_most_are_kept(node: Node) -> None:
    shown = await on_device(node)
    assert (len(shown & HONEST), len(shown & HOSTILE)) == (COUNT - AT_ONCE, AT_ONCE)
    assert node.controller.view.peers.keys() == shown
    waiting = node.desired_state.key_changes.waiting
    assert {key: one.reason for key, one in node.controller.view.quarantined.items()} == dict.fromkeys(waiting, WAITS)


@pytest.mark.parametrize("pushed", [True, False])
async def test_most_peers_stay_on_the_device(bucket: MemoryBucket, tmp_path: Path, *, pushed: bool) -> None:
    async with Node(bucket, tmp_path).running() as node:
        assert await on_device(node) == HONEST
        if not pushed:
            node.controller.follower.disconnected()
        with capture_logs() as logs:
            take_all(bucket)
            await node.controller.follower.resync(bucket)
        await assert_most_are_kept(node)
        assert len([entry for entry in logs if entry["event"] == "changes of public keys pending"]) == 1


async def test_they_stay_over_a_restart(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        take_all(bucket)
        snapshot = node.controller.resuming.snapshot(7.0)
    second = await restarted(bucket, tmp_path, snapshot)
    await assert_device_is_mixed(second)
    async with second.running():
        shown = await on_device(second)
        assert len(shown & HONEST) >= COUNT - 2 * AT_ONCE
        assert second.desired_state.key_changes.waiting


async def assert_device_is_mixed(node: Node) -> None:
    shown = await on_device(node)
    assert (len(shown & HONEST), len(shown & HOSTILE)) == (COUNT - AT_ONCE, AT_ONCE)


async def test_what_waits_is_applied_when_it_is_released(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        take_all(bucket)
        assert node.desired_state.release() == COUNT - AT_ONCE
        assert await on_device(node) == HOSTILE
        assert not node.reconciler.pending_removals
        assert not node.controller.view.quarantined
        assert node.desired_state.release() == 0


async def test_what_waits_is_applied_after_the_delay(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        now = time.monotonic()
        monkeypatch.setattr(node.desired_state, "clock", lambda: now)
        take_all(bucket)
        now += HOLD_S - 1
        node.desired_state.expire()
        await assert_most_are_kept(node)
        now += 2
        node.desired_state.expire()
        assert await on_device(node) == HOSTILE


async def test_joining_and_leaving_is_not_held(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        for number in NUMBERS:
            bucket.write(peer(number).key, None)
        assert not node.controller.view.peers, "that is for the limit on removals to hold"
        for number in NUMBERS:
            put(bucket, peer(number))
        assert await on_device(node) == HONEST
        assert not node.desired_state.key_changes.waiting
