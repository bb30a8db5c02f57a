"""What a pass leaves for later: pending removals, and the endpoints of live sessions."""

import time

import pytest

from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, public_key_of
from ikto_core.values.addressing import Endpoint
from ikto_core.values.removal_brake import BrakeLimits
from tests.device.reconciling import WG, Scene, mesh, record, synced

A = public_key_of(1)
ROAMED = Endpoint.parse("198.51.100.7:7")
ONE_AT_ONCE = BrakeLimits(share=0.0, at_least=1)


class Clock:
    """The clocks of a reconciler, which a test can put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def time(self) -> float:
        return time.time() + self.ahead_s

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("ikto_core.device.passes.time", clock)
    monkeypatch.setattr("ikto_core.device.plan_writer.time", clock)
    return clock


async def after_hundred_vanish() -> Scene:
    scene = await synced(*mesh(100), limits=BrakeLimits())
    scene.delete(*range(1, 101))
    await scene.reconcile()
    return scene


async def test_if_all_peers_vanish_a_few_are_removed_and_the_others_are_pending() -> None:
    scene = await after_hundred_vanish()
    assert len(scene.shown) == 70
    assert scene.reconciler.brake.pending == scene.shown.keys()
    await scene.reconcile_fully()
    assert len(scene.shown) == 70


async def test_released_removals_are_applied() -> None:
    scene = await after_hundred_vanish()
    scene.reconciler.brake.release()
    await scene.reconcile_fully()
    assert scene.shown == {}
    assert scene.drift == 0


async def test_pending_removals_are_applied_after_the_maximum_wait(clock: Clock) -> None:
    scene = await after_hundred_vanish()
    clock.ahead_s = 599
    await scene.reconcile_fully()
    assert len(scene.shown) == 70
    clock.ahead_s = 601
    await scene.reconcile_fully()
    assert scene.shown == {}
    assert scene.drift == 0


async def test_a_release_survives_a_failed_write() -> None:
    scene = await after_hundred_vanish()
    scene.reconciler.brake.release()
    scene.reconciler.request_full_pass()
    scene.host.fail_next("apply")
    with pytest.raises(BackendError):
        await scene.reconcile()
    await scene.reconcile()
    assert scene.shown == {}


async def test_a_pending_peer_that_comes_back_is_no_longer_pending_and_stays() -> None:
    scene = await after_hundred_vanish()
    returning = int.from_bytes(min(scene.shown), "big")
    scene.put(record(returning))
    await scene.reconcile()
    assert public_key_of(returning) not in scene.reconciler.brake.pending
    scene.reconciler.brake.release()
    await scene.reconcile_fully()
    assert scene.shown == scene.wanted


async def test_a_pending_peer_is_removed_at_once_when_its_prefix_moves_and_gets_it_back_when_it_returns() -> None:
    scene = await synced(*mesh(3), limits=ONE_AT_ONCE)
    scene.delete(2, 3)
    await scene.reconcile()
    (pending,) = scene.reconciler.brake.pending
    number = int.from_bytes(pending, "big")
    scene.put(record(number, key=9))
    await scene.reconcile()
    assert pending not in scene.shown
    scene.put(record(number))
    await scene.reconcile()
    assert scene.shown[pending] == scene.wanted[pending]


async def test_removals_of_many_foreign_peers_are_pending_too() -> None:
    scene = await synced(*mesh(2), limits=ONE_AT_ONCE)
    scene.tamper(DevicePatch(peers=(create(900), create(901))))
    await scene.reconcile_fully()
    assert len(scene.reconciler.brake.pending) == 1
    scene.put(record(3))
    await scene.reconcile()
    assert len(scene.reconciler.brake.pending) == 1


# -- endpoints --------------------------------------------------------------------------------------------------------


def roam(scene: Scene, *, handshake_age_s: float | None) -> None:
    """Let peer 1 roam; None: it never had a handshake."""
    scene.host.roam(WG, A, ROAMED)
    if handshake_age_s is not None:
        scene.host.handshake(WG, A, time.time() - handshake_age_s)


@pytest.mark.parametrize("handshake_age_s", [1.0, 9999.0, None])
async def test_a_roamed_endpoint_stays_while_the_record_is_unchanged(handshake_age_s: float | None) -> None:
    scene = await synced(*mesh(2))
    roam(scene, handshake_age_s=handshake_age_s)
    await scene.reconcile_fully()
    scene.put(record(1))
    await scene.reconcile()
    assert scene.peer(1).endpoint == ROAMED
    assert scene.patches == []


async def test_a_roamed_endpoint_of_a_live_session_survives_a_changed_record(clock: Clock) -> None:
    scene = await synced(*mesh(2))
    roam(scene, handshake_age_s=1)
    scene.put(record(1, endpoints=["192.0.2.99:9", str(ROAMED)]))
    await scene.reconcile()
    assert scene.peer(1).endpoint == ROAMED
    clock.ahead_s = 200  # the session is over
    await scene.reconcile_fully()
    assert str(scene.peer(1).endpoint) == "192.0.2.99:9"
    assert scene.drift == 0


async def test_a_changed_record_moves_a_peer_without_a_session() -> None:
    scene = await synced(*mesh(2))
    roam(scene, handshake_age_s=200)
    scene.put(record(1, endpoints=["192.0.2.99:9"]))
    await scene.reconcile()
    wanted = Endpoint.parse("192.0.2.99:9")
    assert scene.patches == [DevicePatch(peers=(PeerPatch(public_key=A, endpoint=wanted),))]


async def test_an_endpoint_found_among_the_candidates_counts_as_written() -> None:
    """After a restart of the agent, a later change of the record still moves the peer."""
    scene = await synced(record(1, endpoints=["192.0.2.99:9"]))
    restarted = Scene()
    restarted.reconciler = type(scene.reconciler)(scene.backend, WG)
    restarted.set_target()
    restarted.put(record(1, endpoints=["192.0.2.99:9"]))
    await restarted.reconcile()
    assert scene.patches == []
    restarted.put(record(1, endpoints=["192.0.2.98:8", "192.0.2.99:9"]))
    await restarted.reconcile()
    assert str(scene.peer(1).endpoint) == "192.0.2.98:8"


async def test_a_roamed_endpoint_that_the_record_names_later_counts_as_written() -> None:
    scene = await synced(*mesh(2))
    scene.host.roam(WG, A, ROAMED)
    scene.put(record(1, endpoints=[str(ROAMED)]))
    await scene.reconcile()
    elsewhere = Endpoint.parse("198.51.100.8:8")
    scene.host.roam(WG, A, elsewhere)
    await scene.reconcile_fully()
    assert scene.peer(1).endpoint == elsewhere


async def test_removals_are_pending_no_more_once_the_peers_are_back() -> None:
    scene = await synced(*mesh(100), limits=BrakeLimits())
    scene.delete(*range(1, 101))
    await scene.reconcile()
    assert len(scene.reconciler.pending_removals) == 70
    scene.put(*mesh(100))
    await scene.reconcile()
    assert scene.reconciler.pending_removals == set()
