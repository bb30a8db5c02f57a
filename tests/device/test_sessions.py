"""Peers that had a session lately are known after the device was lost, and after a restart."""

import asyncio

import pytest
from msgspec.structs import replace

from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S
from ikto_core.device.model import DevicePatch, PeerPatch, PeerState
from ikto_core.device.sessions import SessionMemory
from ikto_core.errors import BackendError
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey
from tests.device.reconciling import WG, Scene, mesh

A, B = public_key_of(1), public_key_of(2)
NEVER = PeerState(public_key=A)
NOW = 1_000_000.0
ROAMED = Endpoint("198.51.100.7", 40000)


def test_a_peer_is_remembered_for_as_long_as_its_session_may_be_used() -> None:
    memory = SessionMemory()
    memory.saw({A: replace(NEVER, last_handshake=NOW), B: replace(NEVER, public_key=B)})
    memory.saw({})  # the device was lost
    assert memory.recent(NOW + HANDSHAKE_RECENT_S - 1) == {A}
    assert memory.recent(NOW + HANDSHAKE_RECENT_S) == set()


def test_the_sessions_of_an_earlier_run_count_from_the_start() -> None:
    memory = SessionMemory()
    memory.restore([B], NOW)
    assert memory.recent(NOW + 1) == {B}


async def contacted_after(scene: Scene, loss: DevicePatch | None) -> set[PublicKey]:
    """Return the peers to contact after the device was deleted, or changed, outside Ikto."""
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    if loss:
        scene.tamper(loss)
    else:
        scene.host.remove_device(WG)
    await scene.reconcile_fully()
    return contacted


async def scene_with_a_session() -> Scene:
    scene = Scene()
    scene.put(*mesh(3))
    await scene.reconcile()
    scene.host.handshake(WG, A, scene.now())
    await scene.reconcile_fully()
    return scene


async def test_a_device_made_anew_contacts_the_peers_that_had_a_session() -> None:
    assert await contacted_after(await scene_with_a_session(), None) == {A}


async def test_a_device_whose_peers_were_all_removed_does_too() -> None:
    scene = await scene_with_a_session()
    everybody = frozenset(scene.device.peers)
    assert await contacted_after(scene, DevicePatch(remove_peers=everybody)) == {A}


async def test_a_device_that_lost_one_peer_contacts_nobody() -> None:
    assert await contacted_after(await scene_with_a_session(), DevicePatch(remove_peers=frozenset({B}))) == set()


async def test_the_first_pass_of_a_run_contacts_the_sessions_of_the_run_before_only_if_the_device_is_new() -> None:
    for device_survived in (False, True):
        scene = Scene()
        scene.put(*mesh(3))
        if device_survived:
            await scene.reconcile()
        contacted: set[PublicKey] = set()
        scene.reconciler.on_contact = contacted.update
        scene.reconciler.restore_sessions([B])
        await scene.reconcile_fully()
        assert contacted == (set() if device_survived else {B})


async def test_a_pass_that_fails_half_way_contacts_the_lost_sessions_once_it_is_repaired() -> None:
    scene = await scene_with_a_session()
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    scene.host.remove_device(WG)
    scene.host.fail_midway(BackendError("half"), after=2)
    scene.reconciler.request_full_pass()
    with pytest.raises(BackendError):
        await scene.reconcile()
    assert contacted == set()
    await scene.reconcile()
    assert contacted == {A}


async def test_a_host_that_moved_writes_the_endpoints_of_sessions_as_they_are_and_contacts_these_peers() -> None:
    scene = await scene_with_a_session()
    scene.tamper(DevicePatch(peers=(PeerPatch(public_key=A, endpoint=ROAMED),)))
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    scene.reset_counts()
    scene.reconciler.renew_endpoints()
    for _ in range(2):  # once only
        await scene.reconcile()
    assert scene.patches == [DevicePatch(peers=(PeerPatch(public_key=A, endpoint=ROAMED),))]
    assert contacted == {A}
    assert scene.host.calls["read"] == 0, "not the whole device"


async def test_a_host_that_moves_again_while_it_writes_the_endpoints_writes_them_again() -> None:
    scene = await scene_with_a_session()
    scene.reset_counts()
    scene.reconciler.renew_endpoints()
    scene.backend.interruptions.append(scene.reconciler.renew_endpoints)  # after the read of the peer
    for _ in range(2):
        await scene.reconcile()
    assert len(scene.patches) == 2


async def test_the_endpoints_of_a_host_that_moved_are_written_later_if_that_fails() -> None:
    scene = await scene_with_a_session()
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    scene.host.fail_midway(BackendError("half"), after=0)
    scene.reconciler.renew_endpoints()
    with pytest.raises(BackendError):
        await scene.reconcile()
    await scene.reconcile()
    assert contacted == {A}


def _cancel(task: "asyncio.Future[None]") -> None:
    task.cancel()


async def test_a_cancelled_pass_is_made_again() -> None:
    scene = Scene()
    scene.put(*mesh(3))
    task = asyncio.ensure_future(scene.reconcile())
    scene.backend.interruptions.extend([lambda: None, lambda: _cancel(task)])
    with pytest.raises(asyncio.CancelledError):
        await task
    scene.backend.interruptions.clear()
    await scene.reconcile()
    assert scene.shown == scene.wanted
