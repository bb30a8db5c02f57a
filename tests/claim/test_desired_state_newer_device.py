"""A device may be newer than the snapshot: its peers keep their allowed IPs and endpoints."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.device.model import DevicePatch
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.testing.devices import create
from ikto_core.values.addressing import Endpoint, Prefix
from tests.claim.conftest import PEER
from tests.nodes import Node, device_endpoints, put, restarted
from tests.samples import KEY, OTHER_KEY, record

WG = "wg0"
ROAMED = Endpoint.parse("198.51.100.7:7")


async def test_a_snapshot_peer_takes_no_allowed_ips_from_its_successor(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    """The device has no key of the snapshot: the peers have rotated their keys meanwhile, or were replaced."""
    node = await restarted(two_peers, tmp_path, snapshot)
    successor = replace(create(900), allowed_ips=frozenset({PEER.subnet}))
    node.host.tamper(WG, DevicePatch(peers=(successor,), remove_peers=frozenset({KEY, OTHER_KEY})))
    before = node.host.device(WG)
    node.controller.resuming.restore(snapshot, 7.0)
    await node.reconciler.reconcile()
    assert node.host.device(WG) == before


async def test_a_device_with_only_a_foreign_peer_gets_the_snapshot_peers(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, snapshot, keep_foreign_peers=True)
    foreign = replace(create(900), allowed_ips=frozenset({Prefix.parse("0.0.0.0/0"), Prefix.parse("10.0.1.0/24")}))
    node.host.tamper(WG, DevicePatch(peers=(foreign,), remove_peers=frozenset({KEY, OTHER_KEY})))
    node.controller.resuming.restore(snapshot, 7.0)
    await node.reconciler.reconcile()
    assert device_endpoints(node).keys() == {KEY, OTHER_KEY, foreign.public_key}


@pytest.mark.parametrize("record_changed", [True, False])
async def test_a_peer_found_on_the_device_keeps_its_roamed_endpoint_unless_its_record_changed(
    two_peers: MemoryBucket, tmp_path: Path, snapshot: MeshSnapshot, record_changed: bool
) -> None:
    node = await restarted(two_peers, tmp_path, snapshot)
    node.host.roam(WG, KEY, ROAMED)
    node.host.handshake(WG, KEY, 1000.0)
    if record_changed:
        put(two_peers, record("10.0.0.64/28", KEY, port=4711))
    again = Node(two_peers, tmp_path, seed=3, host=node.host)
    again.controller.resuming.restore(snapshot, 7.0)
    await again.reconciler.reconcile()
    assert device_endpoints(again)[KEY] == ROAMED
    async with again.running():
        await again.reconciler.reconcile()
        assert device_endpoints(again)[KEY] == (Endpoint("192.0.2.1", 4711) if record_changed else ROAMED)
