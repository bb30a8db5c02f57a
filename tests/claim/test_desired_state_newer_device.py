"""A device may be newer than what was kept: what its peers have, and where they are, is let be."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.device.model import DevicePatch
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.testing.devices import create
from ikto_core.values.addressing import Endpoint, Prefix
from tests.claim.conftest import PEER
from tests.nodes import Node, put, restarted, shown
from tests.samples import KEY, OTHER_KEY, record

WG = "wg0"
ROAMED = Endpoint.parse("198.51.100.7:7")


async def test_a_kept_peer_takes_nothing_from_one_that_followed_it(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    """The device shares no key with what was kept: the peers have rotated theirs meanwhile, or were replaced."""
    node = await restarted(two_peers, tmp_path, kept)
    successor = replace(create(900), allowed_ips=frozenset({PEER.subnet}))
    node.host.tamper(WG, DevicePatch(peers=(successor,), remove_peers=frozenset({KEY, OTHER_KEY})))
    before = node.host.device(WG)
    node.controller.restore_snapshot(kept)
    await node.reconciler.reconcile()
    assert node.host.device(WG) == before


async def test_a_device_with_a_foreign_peer_alone_gets_the_kept_ones(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, kept, keep_foreign_peers=True)
    foreign = replace(create(900), allowed_ips=frozenset({Prefix.parse("0.0.0.0/0"), Prefix.parse("10.0.1.0/24")}))
    node.host.tamper(WG, DevicePatch(peers=(foreign,), remove_peers=frozenset({KEY, OTHER_KEY})))
    node.controller.restore_snapshot(kept)
    await node.reconciler.reconcile()
    assert shown(node).keys() == {KEY, OTHER_KEY, foreign.public_key}


@pytest.mark.parametrize("moved", [True, False])
async def test_a_peer_that_we_come_upon_is_where_it_roamed_unless_its_record_has_changed_since(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot, moved: bool
) -> None:
    node = await restarted(two_peers, tmp_path, kept)
    node.host.roam(WG, KEY, ROAMED)
    node.host.handshake(WG, KEY, 1000.0)
    if moved:
        put(two_peers, record("10.0.0.64/28", KEY, port=4711))
    again = Node(two_peers, tmp_path, seed=3, host=node.host)
    again.controller.restore_snapshot(kept)
    await again.reconciler.reconcile()
    assert shown(again)[KEY] == ROAMED
    async with again.running():
        await again.reconciler.reconcile()
        assert shown(again)[KEY] == (Endpoint("192.0.2.1", 4711) if moved else ROAMED)
