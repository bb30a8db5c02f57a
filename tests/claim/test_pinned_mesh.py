"""A node keeps the peers that prove their records on its device, also over a restart, whatever overwrites them."""

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.claim import verifying
from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.pins import HOLD_S
from ikto_core.mesh.records import encode_record
from ikto_core.values.keys import PublicKey
from tests.nodes import Node, restarted
from tests.samples import KEY, OTHER_KEY, THIRD_KEY, record, signed

VICTIM = record("10.0.0.64/28", KEY, "victim")
PLAIN = record("10.0.0.96/28", THIRD_KEY, "plain")
ATTACK = signed(record("10.0.0.64/28", OTHER_KEY, "attacker"), 9)


@pytest.fixture
def bucket() -> MemoryBucket:
    bucket = MemoryBucket()
    bucket.write(VICTIM.key, signed(VICTIM, 7))
    bucket.write(PLAIN.key, encode_record(PLAIN))
    return bucket


async def on_device(node: Node) -> set[PublicKey]:
    await node.reconciler.reconcile()
    device = node.host.device("wg0")
    assert device
    return set(device.peers)


def names(node: Node) -> set[str]:
    return {peer.name for peer in node.controller.view.peers.values()}


@pytest.mark.parametrize("pushed", [True, False])
async def test_an_overwritten_peer_stays_on_the_device(bucket: MemoryBucket, tmp_path: Path, *, pushed: bool) -> None:
    async with Node(bucket, tmp_path).running() as node:
        if not pushed:
            node.controller.follower.disconnected()
        bucket.write(VICTIM.key, ATTACK)
        bucket.write(PLAIN.key, None)
        await node.controller.follower.resync(bucket)
        assert await on_device(node) == {KEY}
        assert node.controller.view.quarantined.keys() == {VICTIM.key}


async def saved_after_attack(bucket: MemoryBucket, tmp_path: Path) -> MeshSnapshot:
    """Return the snapshot, from its file, of a run that saw the attack."""
    async with Node(bucket, tmp_path / "state").running() as node:
        bucket.write(VICTIM.key, ATTACK)
        snapshot = node.controller.resuming.snapshot(7.0)
    assert snapshot
    file = SnapshotFile(tmp_path)
    file.save(snapshot)
    loaded = file.load()
    assert loaded == snapshot
    return snapshot


async def test_after_a_restart_the_peer_is_still_pinned_and_nothing_known_is_verified_again(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    snapshot = await saved_after_attack(bucket, tmp_path)
    assert snapshot.entries[VICTIM.key].value == signed(VICTIM, 7)
    assert set(snapshot.gone_s) == {VICTIM.key}
    node = await restarted(bucket, tmp_path / "state", snapshot)
    assert await on_device(node) == {KEY, THIRD_KEY}
    assert node.desired_state.proofs.stats.verified == 0
    async with node.running():
        assert await on_device(node) == {KEY, THIRD_KEY}
        assert node.controller.view.quarantined.keys() == {VICTIM.key}
        assert node.desired_state.proofs.stats.verified == 3  # the attacker's record, and its own of both runs


async def test_the_time_for_which_an_owner_is_gone_goes_on_over_a_restart(bucket: MemoryBucket, tmp_path: Path) -> None:
    snapshot = await saved_after_attack(bucket, tmp_path)
    node = await restarted(bucket, tmp_path / "state", replace(snapshot, gone_s={VICTIM.key: HOLD_S}))
    async with node.running():
        assert names(node) == {"victim", "plain"}
        node.desired_state.expire()
        assert names(node) == {"attacker", "plain"}


async def test_a_snapshot_without_pins_is_still_used(bucket: MemoryBucket, tmp_path: Path) -> None:
    snapshot = await saved_after_attack(bucket, tmp_path)
    older = replace(snapshot, proved=(), gone_s={})
    node = await restarted(bucket, tmp_path / "state", older)
    assert await on_device(node) == {KEY, THIRD_KEY}


async def test_a_deleted_peer_is_a_pending_removal(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.write(VICTIM.key, None)
        assert (set(node.desired_state.held_peers()), names(node)) == ({KEY}, {"victim", "plain"})
        assert node.desired_state.release() == 1
        assert (set(node.desired_state.held_peers()), names(node)) == (set(), {"plain"})


async def test_a_bucket_that_lost_its_history_gives_the_subnet_to_its_new_owner(
    bucket: MemoryBucket, tmp_path: Path
) -> None:
    async with Node(bucket, tmp_path).running() as node:
        bucket.recreate()
        bucket.write(VICTIM.key, ATTACK)
        await node.controller.follower.resync(bucket)
        assert "attacker" in names(node)


async def test_a_restored_backup_counts_and_not_the_pin(bucket: MemoryBucket, tmp_path: Path) -> None:
    async with Node(bucket, tmp_path).running() as node:
        restore = bucket.backup()
        bucket.write(VICTIM.key, signed(replace(VICTIM, next_public_key=OTHER_KEY), 8))
        bucket.write(VICTIM.key, signed(replace(VICTIM, public_key=OTHER_KEY), 9))
        assert OTHER_KEY in node.controller.view.peers
        restore()
        await node.controller.follower.resync(bucket)
        assert KEY in node.controller.view.peers


async def test_many_proofs_are_verified_in_a_thread(
    bucket: MemoryBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[Any] = []

    async def to_thread(call: Any, *arguments: Any) -> Any:
        threads.append(arguments)
        return call(*arguments)

    monkeypatch.setattr("asyncio.to_thread", to_thread)
    for number in range(verifying.FEW + 1):
        found = record(f"10.0.0.{128 + number}/32", KEY)
        bucket.write(found.key, signed(found))
    async with Node(bucket, tmp_path).running() as node:
        assert len(threads) == 1
        assert names(node) == {"peer", "plain"}
        assert node.controller.view.peers[KEY].records[0].proved
        bucket.write("peers.x", b"")
        await node.controller.follower.resync(bucket)
        assert len(threads) == 1  # what was verified is remembered
