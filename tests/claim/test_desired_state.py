"""Until the bucket has been read the device shows the snapshot; from then on it shows the bucket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import record_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from ikto_core.testing.devices import create
from ikto_core.values.addressing import Endpoint
from tests.claim.conftest import OTHER, PEER
from tests.nodes import ADDRESS, Node, device_endpoints, put, restarted, snapshot_of_a_run
from tests.samples import KEY, OTHER_KEY, THIRD_KEY, record

WG = "wg0"


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as logs:
        yield logs


def ignored_because(logs: list[EventDict]) -> list[str]:
    """Return why snapshots were ignored."""
    return [entry["reason"] for entry in logs if entry["event"] == "snapshot of another mesh ignored"]


# -- without NATS -----------------------------------------------------------------------------------------------------


async def test_the_snapshot_has_the_accepted_records_and_the_claim(two_peers: MemoryBucket, tmp_path: Path) -> None:
    two_peers.write(record_key("10.0.0.96/28"), b"garbage")
    two_peers.write(MESH_KEY, b"{}")
    node = Node(two_peers, tmp_path)
    assert node.controller.resuming.snapshot(7.0) is None, "the bucket has not been read yet"
    async with node.running():
        put(two_peers, record("10.0.0.20/32", THIRD_KEY))  # overlaps the own subnet
        snapshot = node.controller.resuming.snapshot(7.0)
        assert snapshot
        assert snapshot.entries.keys() == {PEER.key, OTHER.key}
        assert (snapshot.claim, snapshot.saved_at) == (node.state.load().claim, 7.0)
        assert (snapshot.stream, snapshot.revision) == (
            (await two_peers.info()).created,
            node.controller.follower.revision,
        )


async def test_after_a_reboot_the_snapshot_sets_the_address_and_all_peers(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, snapshot)
    assert device_endpoints(node) == {KEY: PEER.candidates[0], OTHER_KEY: OTHER.candidates[0]}
    assert await node.device_addresses() == {f"{ADDRESS}/24"}
    assert node.reconciler.in_sync.is_set()
    assert node.reconciler.shown_revision == snapshot.revision


async def test_an_automatic_address_is_restored_too(two_peers: MemoryBucket, tmp_path: Path) -> None:
    async with Node(two_peers, tmp_path, private_address="auto").running() as first:
        snapshot = first.controller.resuming.snapshot(7.0)
        addresses = await first.device_addresses()
    node = await restarted(two_peers, tmp_path, snapshot, private_address="auto")
    assert device_endpoints(node).keys() == {KEY, OTHER_KEY}
    assert await node.device_addresses() == addresses


async def test_a_device_that_has_peers_is_left_unchanged(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    """The device may be newer than the snapshot: a peer that was removed must not come back."""
    node = await restarted(two_peers, tmp_path, snapshot)
    roamed = Endpoint.parse("198.51.100.7:7")
    newer = DevicePatch(
        listen_port=4711,
        peers=(PeerPatch(public_key=KEY, endpoint=roamed), create(900)),
        remove_peers=frozenset({OTHER_KEY}),
    )
    node.host.tamper(WG, newer)
    before = node.host.device(WG)
    node.host.writes.clear()
    again = Node(two_peers, tmp_path, seed=3, host=node.host)
    again.controller.resuming.restore(snapshot, 7.0)
    await again.reconciler.reconcile()
    assert node.host.writes == []
    assert node.host.device(WG) == before
    assert again.reconciler.in_sync.is_set()


async def test_a_device_without_its_address_gets_it_and_keeps_its_peers(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, snapshot)
    device = node.host.device(WG)
    assert device
    lost = DevicePatch(remove_addresses=device.addresses, up=False, remove_peers=frozenset({OTHER_KEY}))
    node.host.tamper(WG, lost)
    node.controller.resuming.restore(snapshot, 7.0)
    await node.reconciler.reconcile()
    assert await node.device_addresses() == {f"{ADDRESS}/24"}
    assert device_endpoints(node).keys() == {KEY}


async def test_a_device_deleted_while_nats_is_unreachable_is_restored_completely(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, snapshot)
    node.host.remove_device(WG)
    node.reconciler.request_full_pass()
    await node.reconciler.reconcile()
    assert device_endpoints(node).keys() == {KEY, OTHER_KEY}


async def test_a_restore_that_failed_midway_is_finished_by_the_next_pass(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    node = Node(two_peers, tmp_path, seed=2)
    node.controller.resuming.restore(snapshot, 7.0)
    node.host.fail_midway(after=2)
    with pytest.raises(Exception, match="midway"):
        await node.reconciler.reconcile()
    assert len(device_endpoints(node)) == 1
    await node.reconciler.reconcile()
    assert device_endpoints(node).keys() == {KEY, OTHER_KEY}


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"nats_kv": "other"}, "bucket is 'ikto-mesh', not 'other'"),
        ({"mesh_cidr": "10.0.0.0/25"}, "mesh_cidr is '10.0.0.0/24', not '10.0.0.0/25'"),
        ({"subnet_prefix": 29}, "subnet_prefix is 28, not 29"),
        ({"private_address": "10.0.0.33"}, "private_address is '10.0.0.18', not '10.0.0.33'"),
    ],
)
async def test_a_snapshot_of_another_configuration_is_ignored_and_logged(
    tmp_path: Path, snapshot: MeshSnapshot, logs: list[EventDict], changed: dict[str, Any], reason: str
) -> None:
    node = await restarted(MemoryBucket(), tmp_path, snapshot, **changed)
    assert node.host.device(WG) is None
    assert ignored_because(logs) == [reason]
    assert node.controller.resuming.restore(snapshot, 7.0) is None, "its sessions are not used either"


async def test_a_snapshot_without_a_saved_claim_is_ignored(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot, logs: list[EventDict]
) -> None:
    node = await restarted(two_peers, tmp_path / "new", snapshot)
    assert node.host.device(WG) is None
    assert ignored_because(logs) == ["the state file has no claim"]


async def test_a_snapshot_of_an_earlier_claim_is_ignored_and_logged(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot, logs: list[EventDict]
) -> None:
    async with Node(two_peers, tmp_path, private_address="10.0.0.33").running():
        pass
    node = await restarted(two_peers, tmp_path, snapshot, private_address="10.0.0.33")
    assert await node.device_addresses() == {"10.0.0.33/24"}
    assert device_endpoints(node) == {}
    assert ignored_because(logs) == ["private_address is '10.0.0.18', not '10.0.0.33'"]


async def test_a_saved_claim_without_a_snapshot_restores_only_the_address(
    two_peers: MemoryBucket, tmp_path: Path
) -> None:
    await snapshot_of_a_run(two_peers, tmp_path)
    node = await restarted(two_peers, tmp_path, None)
    assert await node.device_addresses() == {f"{ADDRESS}/24"}
    assert device_endpoints(node) == {}
    assert not node.reconciler.in_sync.is_set(), "an empty mesh is not reported as shown"


# -- the bucket has been read -----------------------------------------------------------------------------------------


async def test_the_device_shows_the_bucket_as_soon_as_it_has_been_read(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    two_peers.write(OTHER.key, None)
    put(two_peers, record("10.0.0.96/28", THIRD_KEY))
    node = await restarted(two_peers, tmp_path, snapshot)
    assert device_endpoints(node).keys() == {KEY, OTHER_KEY}
    async with node.running():
        await node.reconciler.reconcile()
        assert device_endpoints(node).keys() == {KEY, THIRD_KEY}
        assert not node.desired_state.is_snapshot
        put(two_peers, OTHER)
        await node.reconciler.reconcile()
        assert device_endpoints(node).keys() == {KEY, OTHER_KEY, THIRD_KEY}


async def test_the_device_follows_a_bucket_whose_mesh_settings_somebody_changed(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    two_peers.write(MESH_KEY, MeshSettings("10.0.0.0/24", 29).encode())
    put(two_peers, record("10.0.0.96/28", THIRD_KEY))
    node = await restarted(two_peers, tmp_path, snapshot)
    async with node.running():
        await node.reconciler.reconcile()
        assert device_endpoints(node).keys() == {KEY, OTHER_KEY, THIRD_KEY}
        assert node.controller.mesh_settings.conflict


@pytest.mark.parametrize("restoring", [True, False])
async def test_a_device_that_was_left_unchanged_is_updated_from_the_bucket(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot, restoring: bool
) -> None:
    node = await restarted(two_peers, tmp_path, snapshot)
    roamed = PeerPatch(public_key=KEY, endpoint=Endpoint.parse("198.51.100.7:7"))
    node.host.tamper(WG, DevicePatch(peers=(roamed,), remove_peers=frozenset({OTHER_KEY})))
    again = Node(two_peers, tmp_path, seed=3, host=node.host)
    if restoring:
        again.controller.resuming.restore(snapshot, 7.0)
        await again.reconciler.reconcile()
    async with again.running():
        await again.reconciler.reconcile()
        assert device_endpoints(again) == {KEY: PEER.candidates[0], OTHER_KEY: OTHER.candidates[0]}


async def test_a_snapshot_peer_that_left_meanwhile_is_removed_and_foreign_peers_stay(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    two_peers.write(OTHER.key, None)
    node = await restarted(two_peers, tmp_path, snapshot, keep_foreign_peers=True)
    node.host.tamper(WG, DevicePatch(peers=(create(900),)))
    async with node.running():
        await node.reconciler.reconcile()
        assert len(device_endpoints(node)) == 2
        assert OTHER_KEY not in device_endpoints(node)


async def test_a_restored_snapshot_is_not_saved_again(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, snapshot)
    assert node.snapshot_requests == 0
    assert node.controller.resuming.snapshot(8.0) is None
    async with node.running():
        assert node.snapshot_requests > 0
        later = node.controller.resuming.snapshot(8.0)
        assert later
        assert later.same_content_as(snapshot)
