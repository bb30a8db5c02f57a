"""The device is read when an endpoint needs a check, and no more often."""

import time
from math import inf

import pytest

from ikto_core.device import endpoint_policy as endpoints
from ikto_core.device import reconciler as reconcile
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.device.removal_brake import BrakeLimits
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint
from tests.device.reconciling import HIGHEST, LOWEST, WG, Scene, mesh, record
from tests.device.test_reconciler_run import running, until

A = public_key_of(1)
ROAMED = Endpoint.parse("198.51.100.7:7")
TWO = ["192.0.2.98:8", "192.0.2.99:9"]


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "INITIATION_WAIT_S", 0.05)
    monkeypatch.setattr(endpoints, "TURN_S", 0.05)


def responder() -> Scene:
    """Return the scene of a node that waits for its new peers to initiate the handshake."""
    return Scene(own_key=HIGHEST)


async def test_a_new_peer_that_initiates_is_one_small_write_without_an_endpoint() -> None:
    scene = responder()
    scene.put(*mesh(100))
    await scene.reconcile()
    scene.reset_counts()
    scene.put(record(101))
    await scene.reconcile()
    (patch,) = scene.patches
    assert [(peer.public_key, peer.endpoint) for peer in patch.peers] == [(public_key_of(101), None)]
    assert scene.host.calls == {"apply": 1}


async def test_a_new_peer_of_the_initiator_gets_its_endpoint_at_once_and_needs_no_check() -> None:
    scene = Scene(own_key=LOWEST)
    scene.put(record(2))
    await scene.reconcile()
    assert scene.peer(2).endpoint == scene.view.peers[public_key_of(2)].endpoints[0]
    assert scene.reconciler._endpoints.next_check_at == inf


@pytest.mark.usefixtures("short_waits")
async def test_peers_that_do_not_initiate_get_their_endpoints_soon_by_one_write() -> None:
    scene = responder()
    scene.put(*mesh(2))
    async with running(scene):
        await scene.reconciler.in_sync.wait()
        await until(lambda: all(peer.endpoint for peer in scene.device.peers.values()))
        first, second = scene.patches
        assert {peer.public_key for peer in second.peers} == {peer.public_key for peer in first.peers}
        assert second == DevicePatch(
            peers=tuple(PeerPatch(public_key=peer.public_key, endpoint=peer.endpoint) for peer in second.peers)
        )
        await until(lambda: scene.reconciler._endpoints.next_check_at == inf)
    assert scene.drift == 0


@pytest.mark.usefixtures("short_waits")
async def test_a_peer_that_initiated_keeps_its_learned_endpoint() -> None:
    scene = responder()
    scene.put(record(1))
    await scene.reconcile()
    scene.host.roam(WG, A, ROAMED)
    scene.host.handshake(WG, A, time.time())
    async with running(scene):
        await until(lambda: scene.reconciler._endpoints.next_check_at == inf)
    assert scene.peer(1).endpoint == ROAMED
    assert len(scene.patches) == 1


@pytest.mark.usefixtures("short_waits")
async def test_the_candidates_of_a_silent_peer_get_turns_while_traffic_is_sent() -> None:
    scene = Scene(own_key=LOWEST)
    scene.put(record(2, endpoints=TWO))
    tried: list[str] = []

    def send_unanswered() -> bool:
        """Let the device send a handshake initiation that is not answered."""
        peer = scene.device.peers.get(public_key_of(2))
        if peer and str(peer.endpoint) not in tried[-1:]:
            tried.append(str(peer.endpoint))
            scene.host.send_unanswered(WG, peer.public_key)
        return len(tried) == 4

    async with running(scene):
        await scene.reconciler.in_sync.wait()
        await until(send_unanswered)
        await until(lambda: scene.reconciler._endpoints.next_check_at == inf)  # no more traffic
    assert tried == TWO * 2


async def test_a_peer_that_left_needs_no_endpoint_check_even_if_its_removal_is_pending() -> None:
    scene = Scene(own_key=HIGHEST, limits=BrakeLimits(share=0.0, at_least=1))
    scene.put(*mesh(2))
    await scene.reconcile()
    scene.delete(1, 2)
    await scene.reconcile_fully()
    assert len(scene.reconciler.brake.pending) == 1
    assert scene.reconciler._endpoints.next_check_at == inf


async def test_a_peer_that_was_removed_and_comes_back_is_new() -> None:
    scene = responder()
    scene.put(record(1))
    await scene.reconcile()
    scene.delete(1)
    await scene.reconcile()
    scene.put(record(1))
    await scene.reconcile()
    assert scene.peer(1).endpoint is None


async def test_new_candidates_are_not_written_without_reading_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "INITIATION_WAIT_S", 0.0)
    scene = responder()
    scene.put(record(1))
    await scene.reconcile()
    scene.host.roam(WG, A, ROAMED)
    scene.put(record(9, key=1, endpoints=["192.0.2.1:51820"]))
    await scene.reconcile()
    assert scene.peer(1).endpoint == ROAMED
    assert scene.host.calls["read"] == 2, "the first pass created the device"
    assert scene.shown == scene.wanted


@pytest.mark.parametrize(("keepalive_s", "written"), [(0, TWO[1]), (25, TWO[0])])
async def test_keepalives_do_not_start_turns_in_a_live_session(
    monkeypatch: pytest.MonkeyPatch, keepalive_s: int, written: str
) -> None:
    monkeypatch.setattr(endpoints, "TURN_S", 0.0)
    scene = Scene()
    scene.reconciler = reconcile.Reconciler(
        scene.backend, WG, endpoints=EndpointTracker(persistent_keepalive=keepalive_s)
    )
    scene.set_target()
    scene.put(record(1, endpoints=TWO))
    await scene.reconcile()
    scene.host.handshake(WG, A, time.time())
    await scene.reconcile_fully()
    scene.host.send_unanswered(WG, A, tx_bytes=300)
    await scene.reconcile_fully()
    assert str(scene.peer(1).endpoint) == written
    assert scene.peer(1).persistent_keepalive == keepalive_s


class Clock:
    """A clock that does not advance."""

    def monotonic(self) -> float:
        return 1000.0

    time = monotonic


@pytest.mark.parametrize(("peers", "pause_s"), [(10, endpoints.INITIATION_WAIT_S), (10_000, 5.0)])
async def test_the_pause_between_endpoint_checks_grows_with_the_number_of_peers(
    monkeypatch: pytest.MonkeyPatch, peers: int, pause_s: float
) -> None:
    monkeypatch.setattr(reconcile, "time", Clock())
    scene = responder()
    scene.reconciler._next_full_pass_at = inf
    scene.put(*mesh(peers))
    await scene.reconcile()
    await scene.reconcile_fully()
    assert scene.reconciler._next_check_at == 1000.0 + pause_s
