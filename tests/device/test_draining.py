"""With a peer that is about to leave this node starts no session of its own accord; its tunnel stays as it is."""

import pytest
from msgspec.structs import replace

from ikto_core.device import first_contact
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PublicKey
from tests.device.reconciling import LOWEST, WG, Scene, mesh, record
from tests.device.test_reconciler_run import running, until

A, B = public_key_of(1), public_key_of(2)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_contact, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(first_contact, "LOWER_KEY_WAIT_S", 0.02)


@pytest.mark.parametrize("from_the_start", [True, False])
async def test_it_is_not_kicked(from_the_start: bool) -> None:
    scene = Scene(own_key=LOWEST)
    drained = replace(record(1), draining=True)
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.put(drained if from_the_start else record(1), record(2))
        await until(lambda: len(scene.device.peers) == 2)
        if not from_the_start:
            scene.put(drained)
            await until(lambda: A in scene.reconciler._passes.kicker.draining)
        scene.host.send_unanswered(WG, A)
        scene.host.send_unanswered(WG, B)
        await until(lambda: scene.reconciler.stats.kicks == 1)  # the other one
        scene.reconciler.request_full_pass()
        passes = scene.reconciler.stats.full_passes
        await until(lambda: scene.reconciler.stats.full_passes > passes)
        assert A not in scene.reconciler._passes.kicker._contacts._contacts
        assert {key for patch in scene.patches for key in patch.remove_peers} == {B}


async def test_it_is_kicked_again_once_it_stays() -> None:
    scene = Scene(own_key=LOWEST)
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        scene.put(replace(record(1), draining=True))
        await until(lambda: A in scene.device.peers)
        scene.put(record(1))
        await until(lambda: A not in scene.reconciler._passes.kicker.draining)
        scene.host.send_unanswered(WG, A)
        scene.reconciler.request_full_pass()
        await until(lambda: scene.reconciler.stats.kicks >= 1)


async def test_it_is_not_contacted_on_a_device_that_was_made_anew() -> None:
    scene = Scene()
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    scene.put(replace(record(1), draining=True), record(2))
    scene.reconciler.restore_sessions([A, B])
    await scene.reconcile()
    assert contacted == {B}


async def test_a_peer_that_left_is_forgotten() -> None:
    scene = Scene()
    scene.put(*mesh(3), replace(record(4), draining=True))
    await scene.reconcile()
    assert scene.reconciler._passes.kicker.draining == {public_key_of(4)}
    scene.delete(4)
    await scene.reconcile()
    assert not scene.reconciler._passes.kicker.draining


def test_the_device_sends_it_no_keepalives() -> None:
    scene = Scene()
    scene.put(replace(record(1), draining=True), record(2))
    tracker = EndpointTracker(persistent_keepalive=25)

    def keepalive(peer: MeshPeer) -> int:
        return tracker.spec(peer, None).persistent_keepalive

    assert keepalive(scene.view.peers[A]) == 0
    assert keepalive(scene.view.peers[B]) == 25
