"""A pass looks at peers with something to do, lets the event loop run meanwhile, and mixes no two states of a mesh."""

import asyncio
import time
from collections import Counter

import pytest

from ikto_core.device import passes, plan, slices
from ikto_core.device.endpoint_policy import TURN_S
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.device.plan import Plan
from ikto_core.device.reconciler import Reconciler
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, public_key_of
from ikto_core.values.keys import PublicKey
from tests.device.reconciling import WG, Scene, mesh, record, synced

MANY = 3 * slices.SLICE + 7
A = public_key_of(1)
TWO = ("192.0.2.1:1", "192.0.2.2:2")


class Judged:
    """The peers that passes look at, by the turn of the event loop in which they do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turns: Counter[int] = Counter()
        self.turn = 0
        judge = Plan._judge

        def counted(judging: Plan, key: PublicKey) -> None:
            self.turns[self.turn] += 1
            judge(judging, key)

        monkeypatch.setattr(Plan, "_judge", counted)

    async def during(self, scene: Scene, *, full: bool) -> int:
        """Make a pass; return how many peers it looked at."""
        self.turns.clear()
        async with asyncio.TaskGroup() as tasks:
            ticking = tasks.create_task(self._tick())
            await (scene.reconcile_fully() if full else scene.reconcile())
            ticking.cancel()
        return self.turns.total()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(0)
            self.turn += 1


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> Judged:
    return Judged(monkeypatch)


async def settled(count: int = MANY) -> Scene:
    """Return a scene whose device is in sync and was read twice since."""
    scene = await synced(*mesh(count))
    await scene.reconcile_fully()
    await scene.reconcile_fully()
    scene.reset_counts()
    return scene


async def test_a_full_pass_looks_at_no_peer_if_nothing_has_changed(judged: Judged) -> None:
    scene = await settled()
    assert await judged.during(scene, full=True) == 0
    assert scene.host.calls == {"read": 1}
    assert scene.patches == []


async def test_a_full_pass_looks_at_the_peers_that_changed_on_the_device_or_in_the_bucket(judged: Judged) -> None:
    scene = await settled()
    scene.host.handshake(WG, A, scene.now())
    scene.put(record(2, endpoints=["192.0.2.9:9"]), record(MANY + 1))
    scene.tamper(DevicePatch(peers=(create(900),), remove_peers=frozenset({public_key_of(3)})))
    assert await judged.during(scene, full=True) == 5
    assert scene.shown == scene.wanted
    assert str(scene.peer(2).endpoint) == "192.0.2.9:9"


async def test_a_new_peer_costs_one_look_one_write_and_no_read_beside_many(judged: Judged) -> None:
    scene = await settled()
    scene.put(record(MANY + 1, endpoints=TWO))
    assert await judged.during(scene, full=False) == 1
    assert scene.host.calls == {"apply": 1}


@pytest.mark.parametrize("full", [True, False])
async def test_the_event_loop_runs_after_each_slice_of_peers(judged: Judged, full: bool) -> None:
    scene = await settled(1)
    scene.put(*mesh(MANY))
    assert await judged.during(scene, full=full) >= MANY - 1
    assert max(judged.turns.values()) <= slices.SLICE
    assert len(scene.shown) == MANY


async def test_what_a_pass_reads_and_settled_peers_are_gone_through_in_slices_too(judged: Judged) -> None:
    scene, before = await settled(), judged.turn
    await judged.during(scene, full=True)
    assert judged.turn - before >= 2 * (MANY // slices.SLICE), "once through the device, once through the mesh"


async def test_a_turn_of_an_endpoint_ends_with_a_read_of_that_peer_and_not_of_all(
    monkeypatch: pytest.MonkeyPatch, judged: Judged
) -> None:
    scene = await settled()
    scene.put(record(MANY + 1, endpoints=TWO))
    await scene.reconcile()
    key = public_key_of(MANY + 1)
    scene.host.send_unanswered(WG, key)
    scene.reset_counts()
    monkeypatch.setattr(passes, "ENDPOINT_PAUSE_S_PER_PEER", 0.0)
    scene.reconciler._passes.pause_ends_at = 0.0
    now = time.monotonic() + TURN_S + 1
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert await judged.during(scene, full=False) == 1
    assert scene.host.calls["read"] == 0
    assert scene.host.calls["read_peers"] >= 1
    assert str(scene.device.peers[key].endpoint) == TWO[1]
    assert scene.drift == 0


async def test_drift_that_the_check_of_an_endpoint_finds_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = await synced(record(1, endpoints=TWO))
    scene.tamper(DevicePatch(peers=(PeerPatch(public_key=A, allowed_ips=frozenset()),)))
    monkeypatch.setattr(scene.reconciler._passes, "due_checks", lambda: {A})
    await scene.reconcile()
    assert scene.shown == scene.wanted
    assert scene.drift == 1


async def test_an_endpoint_of_a_write_that_failed_has_not_roamed() -> None:
    """The record is as it was before the write when the device is read: only the failure says where it came from."""
    scene = await synced(record(1, endpoints=TWO[:1]))
    scene.put(record(1, endpoints=TWO[1:]))
    scene.host.fail_midway(after=2)
    with pytest.raises(BackendError):
        await scene.reconcile()
    assert str(scene.peer(1).endpoint) == TWO[1]
    scene.put(record(1, endpoints=TWO[:1]))
    await scene.reconcile()
    assert str(scene.peer(1).endpoint) == TWO[0]


async def test_an_endpoint_without_a_route_is_looked_at_again_when_routes_may_have_changed(
    monkeypatch: pytest.MonkeyPatch, judged: Judged
) -> None:
    scene = await synced(record(1, endpoints=TWO))
    scene.host.handshake(WG, A, scene.now())
    monkeypatch.setattr(scene.reconciler._passes.endpoints, "_check_at", {})
    for _ in range(3):
        await scene.reconcile_fully()
    assert await judged.during(scene, full=True) == 0
    scene.reconciler.check_routes()
    assert await judged.during(scene, full=True) == 1


async def test_an_active_peer_whose_endpoint_loses_its_route_gets_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    without_route: set[str] = set()
    scene = Scene()
    endpoints = EndpointTracker(has_route=lambda endpoint: str(endpoint) not in without_route)
    scene.reconciler = Reconciler(scene.backend, WG, endpoints=endpoints)
    scene.set_target()
    scene.put(record(1, endpoints=TWO))
    await scene.reconcile()
    scene.host.handshake(WG, A, scene.now())
    for _ in range(2):
        await scene.reconcile_fully()
    scene.host.handshake(WG, A, scene.now() + 1)
    without_route.add(TWO[0])
    scene.reconciler.check_routes()
    await scene.reconcile_fully()
    now = time.monotonic() + 60.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    await scene.reconcile_fully()
    assert str(scene.peer(1).endpoint) == TWO[1]


@pytest.mark.parametrize("turns", range(1, 15))
async def test_routes_that_change_during_a_pass_are_looked_at_for_all_peers(
    monkeypatch: pytest.MonkeyPatch, judged: Judged, turns: int
) -> None:
    monkeypatch.setattr(slices, "SLICE", 1)
    scene = await synced(*mesh(3))
    scene.reconciler.request_full_pass()
    await scene.reconcile_beside([(turns, scene.reconciler.check_routes), (0, judged.turns.clear)])
    await scene.reconcile_fully()
    assert judged.turns.total() >= 3, "each at least once after the change"


@pytest.mark.parametrize("turns", range(1, 40))
@pytest.mark.parametrize("full", [True, False])
async def test_a_key_that_changes_during_a_pass_is_replaced_in_one_write(
    monkeypatch: pytest.MonkeyPatch, turns: int, full: bool
) -> None:
    """Its session ends with the removal: the new key is on the device by then, and is contacted."""
    monkeypatch.setattr(slices, "SLICE", 1)
    scene = await synced(*mesh(6))
    scene.host.handshake(WG, A, scene.now())
    await scene.reconcile_fully()
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    scene.reset_counts()
    if full:
        scene.reconciler.request_full_pass()
    else:
        scene.put(*(record(number, endpoints=TWO) for number in range(1, 7)))
    await scene.reconcile_beside([(turns, lambda: scene.put(record(1, key=99)))])
    await scene.reconcile_until_idle()
    assert scene.shown == scene.wanted
    (removing,) = [patch for patch in scene.patches if A in patch.remove_peers]
    assert public_key_of(99) in {peer.public_key for peer in removing.peers}
    assert public_key_of(99) in contacted
    assert scene.drift == 0


@pytest.mark.parametrize("turns", range(1, 25))
async def test_a_new_key_whose_record_changes_again_during_the_pass_is_there_when_the_old_one_is_removed(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr(slices, "SLICE", 1)
    scene = await synced(*mesh(6))
    scene.host.handshake(WG, A, scene.now())
    await scene.reconcile_fully()
    contacted: set[PublicKey] = set()
    scene.reconciler.on_contact = contacted.update
    scene.reset_counts()
    scene.put(record(1, key=99), *(record(number, endpoints=TWO) for number in range(2, 7)))
    await scene.reconcile_beside([(turns, lambda: scene.put(record(1, key=99)))])
    await scene.reconcile_until_idle()
    (removing,) = [patch for patch in scene.patches if A in patch.remove_peers]
    assert public_key_of(99) in {peer.public_key for peer in removing.peers}
    assert public_key_of(99) in contacted


async def test_a_check_that_was_left_out_because_its_peer_changed_is_made_up_for() -> None:
    scene = await synced(record(1, endpoints=TWO))
    tracker = scene.reconciler._passes.endpoints
    now = tracker.next_check_at
    assert tracker.due(now - 0.1) == frozenset()
    assert tracker.due(now) == {A}
    assert now < tracker.next_check_at <= now + TURN_S, "nothing was remembered of the check"
    assert tracker.due(now + TURN_S) == {A}


@pytest.mark.parametrize("turns", range(1, 7))
@pytest.mark.parametrize("most", [0, 100])
async def test_a_prefix_that_moves_back_after_a_pass_has_an_owner_without_a_full_pass(
    monkeypatch: pytest.MonkeyPatch, turns: int, most: int
) -> None:
    """Its former owner has changed during the pass: it loses the prefix by the write to the other one, not by its own.

    Back again it has the endpoints that it had before, so nothing else is a reason to read it.
    """
    monkeypatch.setattr(slices, "SLICE", 1)
    monkeypatch.setattr(plan, "MOST_JUDGED_AGAIN", most)
    scene = await synced(*mesh(2), record(3, key=2))
    scene.put(record(2, key=1))
    await scene.reconcile_beside([(turns, lambda: scene.put(record(3, key=2)))])
    scene.put(record(2), record(3, key=2))
    await scene.reconcile_until_idle()
    assert scene.shown == scene.wanted
    await scene.reconcile_fully()
    assert scene.drift == 0


@pytest.mark.parametrize("turns", range(1, 20))
async def test_an_endpoint_of_a_write_that_failed_does_not_stay_if_the_peer_changes_back_meanwhile(
    monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    monkeypatch.setattr(slices, "SLICE", 1)
    scene = await synced(record(1, endpoints=TWO[:1]))
    scene.put(record(1, endpoints=TWO[1:]))
    scene.host.fail_midway(after=2)
    with pytest.raises(BackendError):
        await scene.reconcile()
    await scene.reconcile_beside([(turns, lambda: scene.put(record(1, endpoints=TWO[:1])))])
    await scene.reconcile_until_idle()
    assert str(scene.peer(1).endpoint) == TWO[0]


async def test_a_session_that_a_quick_pass_sees_ends_the_count_of_kicks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer is settled then, so no full pass looks at it before something changes."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    scene = await synced(record(1, endpoints=TWO[:1]))
    scene.host.send_unanswered(WG, A)
    for _ in range(60):
        now += 2.0
        await scene.reconcile()
    assert scene.reconciler.kicks_of(A) == 1
    scene.host.handshake(WG, A, scene.now())
    scene.put(record(1, endpoints=TWO))
    await scene.reconcile()
    await scene.reconcile_fully()
    assert scene.reconciler.kicks_of(A) == 0
