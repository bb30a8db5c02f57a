"""Before the bucket is in view the device gets what was kept; from then on the bucket decides."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.errors import ConfigError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.mesh.records import record_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from ikto_core.testing.devices import create
from ikto_core.values.addressing import Endpoint
from tests.claim.conftest import OTHER, PEER
from tests.nodes import ADDRESS, Node, kept_by_a_run, put, restarted, shown
from tests.samples import KEY, OTHER_KEY, THIRD_KEY, record

WG = "wg0"


@pytest.fixture
def logs() -> Iterator[list[EventDict]]:
    with capture_logs() as logs:
        yield logs


# -- without NATS -----------------------------------------------------------------------------------------------------


async def test_what_is_kept_are_the_accepted_records_and_whose_they_are(
    two_peers: MemoryBucket, tmp_path: Path
) -> None:
    two_peers.write(record_key("10.0.0.96/28"), b"garbage")
    two_peers.write(MESH_KEY, b"{}")
    node = Node(two_peers, tmp_path)
    assert node.controller.snapshot(7.0) is None, "nothing is known yet"
    async with node.running():
        put(two_peers, record("10.0.0.20/32", THIRD_KEY))  # overlaps us
        kept = node.controller.snapshot(7.0)
        assert kept
        assert kept.entries.keys() == {PEER.key, OTHER.key}
        assert (kept.claim, kept.saved_at) == (node.state.load().claim, 7.0)
        assert (kept.stream, kept.revision) == ((await two_peers.info()).created, node.controller.follower.revision)


async def test_after_a_reboot_the_device_is_set_with_address_and_all_peers(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, kept)
    assert shown(node) == {KEY: PEER.candidates[0], OTHER_KEY: OTHER.candidates[0]}
    assert await node.device_addresses() == {f"{ADDRESS}/24"}
    assert node.reconciler.in_sync.is_set()
    assert node.reconciler.shown_revision == kept.revision


async def test_an_automatic_address_comes_back_too(two_peers: MemoryBucket, tmp_path: Path) -> None:
    async with Node(two_peers, tmp_path, private_address="auto").running() as first:
        kept = first.controller.snapshot(7.0)
        addresses = await first.device_addresses()
    node = await restarted(two_peers, tmp_path, kept, private_address="auto")
    assert shown(node).keys() == {KEY, OTHER_KEY}
    assert await node.device_addresses() == addresses


async def test_a_device_that_has_peers_is_left_as_it_is(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    """It may be newer than what was kept: a peer that was removed does not come back."""
    node = await restarted(two_peers, tmp_path, kept)
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
    again.controller.restore_snapshot(kept)
    await again.reconciler.reconcile()
    assert node.host.writes == []
    assert node.host.device(WG) == before
    assert again.reconciler.in_sync.is_set()


async def test_a_device_that_lost_its_address_gets_that_and_keeps_its_peers(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, kept)
    device = node.host.device(WG)
    assert device
    lost = DevicePatch(remove_addresses=device.addresses, up=False, remove_peers=frozenset({OTHER_KEY}))
    node.host.tamper(WG, lost)
    node.controller.restore_snapshot(kept)
    await node.reconciler.reconcile()
    assert await node.device_addresses() == {f"{ADDRESS}/24"}
    assert shown(node).keys() == {KEY}


async def test_a_device_that_goes_while_nats_is_away_comes_back_whole(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, kept)
    node.host.remove_device(WG)
    node.reconciler.request_full_pass()
    await node.reconciler.reconcile()
    assert shown(node).keys() == {KEY, OTHER_KEY}


async def test_a_restoration_that_fails_half_way_is_finished(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    node = Node(two_peers, tmp_path, seed=2)
    node.controller.restore_snapshot(kept)
    node.host.fail_midway(after=2)
    with pytest.raises(Exception, match="midway"):
        await node.reconciler.reconcile()
    assert len(shown(node)) == 1
    await node.reconciler.reconcile()
    assert shown(node).keys() == {KEY, OTHER_KEY}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"nats_kv": "other"}, "bucket is 'ikto-mesh', not 'other'"),
        ({"mesh_cidr": "10.0.0.0/25"}, "mesh_cidr is '10.0.0.0/24', not '10.0.0.0/25'"),
        ({"subnet_prefix": 29}, "subnet_prefix is 28, not 29"),
        ({"private_address": "10.0.0.33"}, "private_address is '10.0.0.18', not '10.0.0.33'"),
    ],
)
async def test_the_mesh_of_another_configuration_is_not_used_and_that_is_said(
    tmp_path: Path, kept: MeshSnapshot, logs: list[EventDict], changed: dict[str, Any], said: str
) -> None:
    node = await restarted(MemoryBucket(), tmp_path, kept, **changed)
    assert node.host.device(WG) is None
    assert [entry["because"] for entry in logs if "because" in entry] == [said]


async def test_a_kept_mesh_without_a_claim_is_not_used(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot, logs: list[EventDict]
) -> None:
    node = await restarted(two_peers, tmp_path / "new", kept)
    assert node.host.device(WG) is None
    assert [entry["because"] for entry in logs if "because" in entry] == ["no claim is kept beside it"]


async def test_the_mesh_of_an_earlier_claim_is_not_used_and_that_is_said(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot, logs: list[EventDict]
) -> None:
    async with Node(two_peers, tmp_path, private_address="10.0.0.33").running():
        pass
    node = await restarted(two_peers, tmp_path, kept, private_address="10.0.0.33")
    assert await node.device_addresses() == {"10.0.0.33/24"}
    assert shown(node) == {}
    said = [entry["because"] for entry in logs if entry["event"].startswith("the kept mesh")]
    assert said == ["private_address is '10.0.0.18', not '10.0.0.33'"]


async def test_a_claim_without_a_kept_mesh_brings_the_address_alone(two_peers: MemoryBucket, tmp_path: Path) -> None:
    await kept_by_a_run(two_peers, tmp_path)
    node = await restarted(two_peers, tmp_path, None)
    assert await node.device_addresses() == {f"{ADDRESS}/24"}
    assert shown(node) == {}
    assert not node.reconciler.in_sync.is_set(), "a mesh of nobody is not shown"


# -- the bucket comes into view ---------------------------------------------------------------------------------------


async def test_the_bucket_decides_as_soon_as_it_is_in_view(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    two_peers.write(OTHER.key, None)
    put(two_peers, record("10.0.0.96/28", THIRD_KEY))
    node = await restarted(two_peers, tmp_path, kept)
    assert shown(node).keys() == {KEY, OTHER_KEY}
    async with node.running():
        await node.reconciler.reconcile()
        assert shown(node).keys() == {KEY, THIRD_KEY}
        assert not node.controller.shows_snapshot
        put(two_peers, OTHER)
        await node.reconciler.reconcile()
        assert shown(node).keys() == {KEY, OTHER_KEY, THIRD_KEY}


async def test_a_bucket_that_is_not_ours_to_follow_changes_nothing(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    two_peers.write(MESH_KEY, MeshSettings("10.0.0.0/24", 29).encode())
    put(two_peers, record("10.0.0.96/28", THIRD_KEY))
    node = await restarted(two_peers, tmp_path, kept)
    with pytest.raises(ConfigError):
        await node.ends()
    await node.reconciler.reconcile()
    assert shown(node).keys() == {KEY, OTHER_KEY}


@pytest.mark.parametrize("recalling", [True, False])
async def test_a_device_that_was_left_alone_is_brought_up_to_date_as_without_a_kept_mesh(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot, recalling: bool
) -> None:
    node = await restarted(two_peers, tmp_path, kept)
    elsewhere = PeerPatch(public_key=KEY, endpoint=Endpoint.parse("198.51.100.7:7"))
    node.host.tamper(WG, DevicePatch(peers=(elsewhere,), remove_peers=frozenset({OTHER_KEY})))
    again = Node(two_peers, tmp_path, seed=3, host=node.host)
    if recalling:
        again.controller.restore_snapshot(kept)
        await again.reconciler.reconcile()
    async with again.running():
        await again.reconciler.reconcile()
        assert shown(again) == {KEY: PEER.candidates[0], OTHER_KEY: OTHER.candidates[0]}


async def test_a_kept_peer_that_went_meanwhile_goes_although_foreign_ones_stay(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    two_peers.write(OTHER.key, None)
    node = await restarted(two_peers, tmp_path, kept, keep_foreign_peers=True)
    node.host.tamper(WG, DevicePatch(peers=(create(900),)))
    async with node.running():
        await node.reconciler.reconcile()
        assert len(shown(node)) == 2
        assert OTHER_KEY not in shown(node)


async def test_what_is_shown_from_disk_is_not_kept_anew(
    two_peers: MemoryBucket, tmp_path: Path, kept: MeshSnapshot
) -> None:
    node = await restarted(two_peers, tmp_path, kept)
    assert node.news == 0
    assert node.controller.snapshot(8.0) is None
    async with node.running():
        assert node.news > 0
        again = node.controller.snapshot(8.0)
        assert again
        assert again.same_content_as(kept)
