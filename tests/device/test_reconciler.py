"""The reconciler brings the device in sync with the bucket by the smallest writes, and repairs drift."""

import pytest
from msgspec.structs import replace

from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, public_key_of
from tests.device.reconciling import BASE, WG, Scene, mesh, record, synced

A, B, C = public_key_of(1), public_key_of(2), public_key_of(3)
FOREIGN = public_key_of(900)


async def test_the_first_pass_creates_the_device_with_every_peer() -> None:
    scene = Scene()
    scene.put(*mesh(3))
    await scene.reconcile()
    assert scene.shown == scene.wanted
    assert (scene.device.listen_port, scene.device.addresses, scene.device.up) == (51820, BASE.addresses, True)
    assert scene.reconciler.shown_revision == 3
    assert scene.reconciler.in_sync.is_set()


async def test_a_target_without_a_revision_is_written_but_is_not_in_sync() -> None:
    scene = Scene()
    scene.reconciler.set_target(BASE, scene.view.peers, None)
    await scene.reconcile()
    assert scene.device.up
    assert scene.reconciler.shown_revision is None
    assert not scene.reconciler.in_sync.is_set()


async def test_without_a_target_the_device_is_left_unchanged() -> None:
    scene = Scene()
    reconciler = type(scene.reconciler)(scene.backend, WG)
    reconciler.mark_changed({A}, 7)
    await reconciler.reconcile()
    assert not scene.host.calls
    assert reconciler.shown_revision is None


async def test_a_deleted_device_is_not_made_again_before_another_target_is_set() -> None:
    scene = Scene()
    scene.put(*mesh(3))
    await scene.reconcile()
    await scene.reconciler.delete_device()
    scene.reconciler.request_full_pass()
    await scene.reconciler.reconcile()
    assert scene.host.device(WG) is None
    assert (scene.reconciler.shows_target, scene.reconciler.private_address) == (False, None)
    scene.reconciler.set_target(BASE, scene.view.peers, 3)
    await scene.reconcile()
    assert scene.device.up


async def test_one_peer_added_to_a_thousand_is_one_small_write_without_a_read() -> None:
    scene = await synced(*mesh(1000))
    scene.put(record(1001))
    await scene.reconcile()
    (patch,) = scene.patches
    assert [peer.public_key for peer in patch.peers] == [public_key_of(1001)]
    assert patch == DevicePatch(peers=patch.peers)
    assert scene.host.calls == {"apply": 1}
    assert scene.shown == scene.wanted


async def test_a_peer_that_gains_a_subnet_gets_only_its_allowed_ips_written() -> None:
    scene = await synced(*mesh(3))
    scene.put(record(9, key=2))
    await scene.reconcile()
    wanted = scene.view.peers[B].allowed_ips
    assert len(wanted) == 2
    assert [replace(peer, endpoint=None) for peer in scene.patches[0].peers] == [
        PeerPatch(public_key=B, allowed_ips=wanted)
    ]
    assert scene.shown == scene.wanted


async def test_a_deleted_record_removes_only_its_peer() -> None:
    scene = await synced(*mesh(3))
    scene.delete(2)
    await scene.reconcile()
    assert scene.patches == [DevicePatch(remove_peers=frozenset({B}))]
    assert scene.host.calls == {"apply": 1}
    assert scene.shown == scene.wanted


async def test_a_removed_peer_is_added_again_by_one_write_without_a_read() -> None:
    scene = await synced(*mesh(3))
    scene.delete(2)
    await scene.reconcile()
    scene.put(record(2))
    await scene.reconcile()
    assert scene.host.calls == {"apply": 2}
    assert scene.shown == scene.wanted


async def test_a_peer_with_a_new_key_is_added_and_the_old_one_removed_in_one_patch() -> None:
    scene = await synced(*mesh(2))
    scene.put(record(2, key=3))
    await scene.reconcile()
    (patch,) = scene.patches
    assert [(peer.public_key, peer.create) for peer in patch.peers] == [(C, True)]
    assert patch.remove_peers == {B}
    assert scene.shown == scene.wanted


async def test_a_hundred_changes_before_a_pass_are_one_patch() -> None:
    scene = await synced()
    for one in mesh(100):
        scene.put(one)
    scene.delete(50)
    await scene.reconcile()
    assert [len(patch.peers) for patch in scene.patches] == [99]
    assert scene.shown == scene.wanted
    assert scene.reconciler.shown_revision == 101


async def test_nothing_is_written_if_nothing_changed() -> None:
    scene = await synced(*mesh(3))
    await scene.reconcile_fully()
    scene.put(record(2))
    await scene.reconcile()
    assert scene.patches == []
    assert scene.drift == 0


async def test_a_revision_without_changed_peers_needs_no_backend_call() -> None:
    scene = await synced(*mesh(3))
    scene.reconciler.mark_changed((), 17)
    await scene.reconcile()
    assert scene.reconciler.shown_revision == 17
    assert not scene.host.calls


async def test_set_mtu_applies_to_a_target_without_an_mtu_and_is_not_drift() -> None:
    scene = await synced(*mesh(1))
    scene.reconciler.set_mtu(1320)
    await scene.reconcile()
    assert (scene.device.mtu, scene.patches) == (1400, [])
    scene.base = replace(scene.base, mtu=None)
    scene.set_target()
    await scene.reconcile()
    assert scene.device.mtu == 1320
    scene.reconciler.set_mtu(1370)
    await scene.reconcile()
    assert (scene.device.mtu, scene.drift) == (1370, 0)
    scene.reset_counts()
    scene.reconciler.set_mtu(1370)
    await scene.reconcile()
    assert not scene.host.calls


# -- drift -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tampering",
    [
        DevicePatch(remove_peers=frozenset({B})),
        DevicePatch(peers=(PeerPatch(public_key=B, allowed_ips=frozenset()),)),
        DevicePatch(peers=(PeerPatch(public_key=B, persistent_keepalive=9),)),
        DevicePatch(peers=(create(900),)),
        DevicePatch(listen_port=1),
        DevicePatch(up=False),
    ],
)
async def test_drift_is_repaired_once_and_counted(tampering: DevicePatch) -> None:
    scene = await synced(*mesh(3))
    before = scene.device
    scene.tamper(tampering)
    assert scene.device != before
    await scene.reconcile_fully()
    assert replace(scene.device, peers={}) == replace(before, peers={})
    assert scene.shown == scene.wanted
    await scene.reconcile_fully()
    assert scene.drift == 1


async def test_a_deleted_device_is_created_again_with_all_settings() -> None:
    scene = await synced(*mesh(3))
    before = scene.device
    scene.host.remove_device(WG)
    await scene.reconcile_fully()
    assert scene.device == before
    assert scene.drift == 1


async def test_a_write_to_a_deleted_device_fails_and_the_next_pass_creates_it() -> None:
    scene = await synced(*mesh(3))
    scene.host.remove_device(WG)
    scene.put(record(4))
    with pytest.raises(BackendError):
        await scene.reconcile()
    await scene.reconcile()
    assert scene.shown == scene.wanted


async def test_a_foreign_peer_is_removed_by_the_next_full_pass() -> None:
    scene = await synced(*mesh(2))
    scene.tamper(DevicePatch(peers=(create(900),)))
    await scene.reconcile_fully()
    assert scene.shown == scene.wanted


async def test_a_kept_foreign_peer_stays_whatever_changes_in_the_bucket() -> None:
    scene = await synced(*mesh(2), keep_foreign_peers=True)
    scene.tamper(DevicePatch(peers=(create(900),)))
    await scene.reconcile_fully()
    scene.put(record(9, key=900))
    scene.delete(9)  # deleted again before a pass: never written by Ikto
    scene.delete(2)
    await scene.reconcile()
    assert set(scene.shown) == {A, FOREIGN}
    assert scene.drift == 0


async def test_an_own_peer_is_removed_even_if_foreign_peers_are_kept() -> None:
    scene = await synced(*mesh(2), keep_foreign_peers=True)
    scene.delete(2)
    await scene.reconcile_fully()
    assert set(scene.shown) == {A}
