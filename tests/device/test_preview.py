"""A preview says what the next full pass does, and changes nothing: neither the device nor what is remembered of it."""

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.device.ownership import DeviceOwner
from ikto_core.device.preview import Preview
from ikto_core.device.reconciler import Reconciler
from ikto_core.testing.devices import create, public_key_of
from ikto_core.values.addressing import Endpoint
from ikto_core.values.removal_brake import BrakeLimits
from tests.device.reconciling import WG, Scene, mesh, record

B = public_key_of(2)

TAMPERING = [
    DevicePatch(remove_peers=frozenset({B})),
    DevicePatch(peers=(PeerPatch(public_key=B, allowed_ips=frozenset()),)),
    DevicePatch(peers=(PeerPatch(public_key=B, persistent_keepalive=9),)),
    DevicePatch(peers=(PeerPatch(public_key=B, endpoint=Endpoint.parse("198.51.100.1:9")),)),
    DevicePatch(peers=(create(900),)),
    DevicePatch(listen_port=1),
    DevicePatch(up=False),
    DevicePatch(),
]


async def synced(*, limits: BrakeLimits | None = None) -> Scene:
    scene = Scene(limits=limits) if limits else Scene()
    scene.put(*mesh(3))
    await scene.reconcile()
    scene.reset_counts()
    return scene


@pytest.mark.parametrize("tampering", TAMPERING)
async def test_it_is_what_the_next_full_pass_writes(tampering: DevicePatch) -> None:
    scene = await synced()
    scene.tamper(tampering)
    scene.put(record(4))
    before = scene.device
    preview = await scene.reconciler.preview()
    assert scene.device == before
    assert scene.patches == []
    assert preview.state == before
    await scene.reconcile_fully()
    assert scene.patches == [preview.patch]


async def test_a_device_as_it_should_be_has_nothing_to_do() -> None:
    scene = await synced()
    preview = await scene.reconciler.preview()
    assert not preview
    assert preview.revision == scene.revision


async def test_a_missing_device_would_be_created_with_its_peers() -> None:
    scene = await synced()
    device = scene.device
    scene.host.remove_device(WG)
    preview = await scene.reconciler.preview()
    assert scene.host.device(WG) is None
    assert (preview.created, preview.state) == (True, None)
    assert {peer.public_key for peer in preview.patch.peers} == device.peers.keys()


async def test_without_a_target_there_is_nothing_to_do() -> None:
    scene = Scene()
    scene.reconciler._target = None
    assert await scene.reconciler.preview() == Preview()


async def test_removals_beyond_the_limit_are_pending_and_the_preview_uses_none_of_it() -> None:
    scene = await synced(limits=BrakeLimits(share=0.0, at_least=1))
    scene.delete(1, 2, 3)
    for _ in range(3):
        preview = await scene.reconciler.preview()
        assert (len(preview.patch.remove_peers), len(preview.pending_removals)) == (1, 2)
    assert not scene.reconciler.pending_removals
    await scene.reconcile_fully()
    assert scene.patches[-1].remove_peers == preview.patch.remove_peers
    assert scene.reconciler.pending_removals == preview.pending_removals


async def test_a_preview_is_no_pass_and_reports_no_drift() -> None:
    scene = await synced()
    scene.tamper(DevicePatch(remove_peers=frozenset({B})))
    before = replace(scene.reconciler.stats)
    with capture_logs() as logs:
        await scene.reconciler.preview()
    assert (scene.reconciler.stats, logs) == (before, [])
    await scene.reconcile_fully()
    assert scene.drift == 1


async def test_a_restored_target_removes_nothing() -> None:
    scene = Scene()
    scene.put(*mesh(2))
    scene.reconciler.set_target(scene.base, scene.view.on_device, None, restoring=True)
    await scene.reconcile()
    scene.tamper(DevicePatch(peers=(create(900),)))
    assert not (await scene.reconciler.preview()).patch


async def test_a_preview_leaves_no_trace_in_what_is_known_of_the_peers() -> None:
    scene = await synced()
    scene.put(record(4, endpoints=["127.0.0.1:1"]))
    await scene.reconciler.preview()
    assert scene.reconciler.without_endpoint == {}
    await scene.reconcile()
    assert list(scene.reconciler.without_endpoint) == [public_key_of(4)]


async def test_an_own_peer_would_be_removed_even_if_foreign_peers_are_kept() -> None:
    scene = Scene(keep_foreign_peers=True)
    scene.put(*mesh(2))
    await scene.reconcile()
    scene.tamper(DevicePatch(peers=(create(900),)))
    scene.delete(2)
    assert (await scene.reconciler.preview()).patch.remove_peers == {B}


async def test_a_preview_does_not_note_that_the_device_is_used() -> None:
    used: list[str] = []
    owner = DeviceOwner(on_use=lambda: used.append("device"))
    scene = Scene()
    scene.reconciler = Reconciler(scene.backend, WG, owner=owner)
    scene.set_target()
    await scene.reconciler.preview()
    assert used == []
    await scene.reconcile()
    assert used == ["device"]
