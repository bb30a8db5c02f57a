"""The device is read when an endpoint needs a check, and no more often."""

import time
from math import inf

import pytest

from ikto_core.device import endpoint_policy as endpoints
from ikto_core.device import passes
from ikto_core.device import reconciler as reconcile
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint
from ikto_core.values.removal_brake import BrakeLimits
from tests.device.reconciling import WG, Scene, mesh, record
from tests.device.test_reconciler_run import running, until

A = public_key_of(1)
ROAMED = Endpoint.parse("198.51.100.7:7")
TWO = ["192.0.2.98:8", "192.0.2.99:9"]


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "TURN_S", 0.05)


async def test_a_new_peer_is_one_small_write_with_its_endpoint() -> None:
    scene = Scene()
    scene.put(*mesh(100))
    await scene.reconcile()
    scene.reset_counts()
    scene.put(record(101))
    await scene.reconcile()
    (patch,) = scene.patches
    endpoint = scene.view.peers[public_key_of(101)].endpoints[0]
    assert [(peer.public_key, peer.endpoint) for peer in patch.peers] == [(public_key_of(101), endpoint)]
    assert scene.host.calls == {"apply": 1}


async def test_a_new_peer_with_one_endpoint_needs_no_endpoint_check() -> None:
    scene = Scene()
    scene.put(record(2))
    await scene.reconcile()
    assert scene.peer(2).endpoint == scene.view.peers[public_key_of(2)].endpoints[0]
    assert scene.reconciler._passes.endpoints.next_check_at == inf


@pytest.mark.usefixtures("short_waits")
async def test_the_candidates_of_a_silent_peer_get_turns_while_traffic_is_sent() -> None:
    scene = Scene()
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
        await until(lambda: scene.reconciler._passes.endpoints.next_check_at == inf)  # no more traffic
    assert tried == TWO * 2


async def test_a_peer_that_left_needs_no_endpoint_check_even_if_its_removal_is_pending() -> None:
    scene = Scene(limits=BrakeLimits(share=0.0, at_least=1))
    scene.put(*mesh(2))
    await scene.reconcile()
    scene.delete(1, 2)
    await scene.reconcile_fully()
    assert len(scene.reconciler.brake.pending) == 1
    assert scene.reconciler._passes.endpoints.next_check_at == inf


async def test_a_peer_that_was_removed_and_comes_back_is_new() -> None:
    scene = Scene()
    scene.put(record(1))
    await scene.reconcile()
    scene.host.roam(WG, A, ROAMED)
    scene.delete(1)
    await scene.reconcile()
    scene.put(record(1))
    await scene.reconcile()
    assert scene.peer(1).endpoint == scene.view.peers[A].endpoints[0]


@pytest.mark.parametrize("handshake", [False, True])
async def test_new_candidates_cost_a_read_of_their_peer_alone(handshake: bool) -> None:
    scene = Scene()
    scene.put(*mesh(10))
    await scene.reconcile()
    scene.host.roam(WG, A, ROAMED)
    if handshake:
        scene.host.handshake(WG, A, time.time())
    scene.reset_counts()
    scene.put(record(1, endpoints=TWO))
    await scene.reconcile()
    assert str(scene.peer(1).endpoint) == (str(ROAMED) if handshake else TWO[0]), "a live session keeps its endpoint"
    assert scene.host.calls["read_peers"] == 1
    assert scene.host.calls["read"] == 0


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


@pytest.mark.slow
async def test_the_pause_between_endpoint_checks_grows_with_the_number_of_peers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(passes, "time", Clock())
    scene = Scene()
    scene.reconciler._schedule.next_full_pass_at = inf
    scene.put(*mesh(10_000))
    await scene.reconcile()
    await scene.reconcile_fully()
    assert scene.reconciler._passes.pause_ends_at == 1000.0 + 5.0
