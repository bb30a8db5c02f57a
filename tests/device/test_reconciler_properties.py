"""After any schedule of updates, failures and drift, the device ends up in sync with the bucket."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, public_key_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.removal_brake import BrakeLimits
from tests.device.reconciling import HIGHEST, LOWEST, UNLIMITED, WG, Scene, record, subnet
from tests.effort import max_examples

EFFORT = settings(
    max_examples=max_examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
Step = Callable[[Scene], None]

NUMBERS = st.integers(1, 4)
ENDPOINTS = st.lists(st.sampled_from(["192.0.2.1:1", "192.0.2.2:2", "192.0.2.3:3"]), max_size=2, unique=True)
RECORDS = st.lists(
    st.builds(lambda number, key, endpoints: record(number, key=key, endpoints=endpoints), NUMBERS, NUMBERS, ENDPOINTS),
    min_size=1,
    max_size=3,
    unique_by=lambda one: one.key,
)
ONE_AT_ONCE = BrakeLimits(share=0.0, at_least=1)


def _tamper(patch: DevicePatch) -> Step:
    return lambda scene: scene.tamper(patch) if scene.host.device(WG) else None


def _peer_patch(number: int, subnets: frozenset[int]) -> DevicePatch:
    allowed_ips = frozenset(Prefix.parse(subnet(one)) for one in subnets)
    return DevicePatch(peers=(PeerPatch(public_key=public_key_of(number), create=True, allowed_ips=allowed_ips),))


PUTS: SearchStrategy[Step] = RECORDS.map(lambda records: lambda scene: scene.put(*records))
DELETIONS: SearchStrategy[Step] = st.sets(NUMBERS, min_size=1).map(lambda gone: lambda scene: scene.delete(*gone))
UPDATES = PUTS | DELETIONS
TAMPERING: SearchStrategy[Step] = st.one_of(
    st.builds(_peer_patch, NUMBERS, st.frozensets(NUMBERS)).map(_tamper),
    NUMBERS.map(lambda number: _tamper(DevicePatch(remove_peers=frozenset({public_key_of(number)})))),
    st.sampled_from([DevicePatch(peers=(create(900),)), DevicePatch(listen_port=9), DevicePatch(up=False)]).map(
        _tamper
    ),
    st.just(lambda scene: scene.host.remove_device(WG)),
)
FAILURES: SearchStrategy[Step] = st.one_of(
    st.integers(1, 5).map(lambda after: lambda scene: scene.host.fail_midway(after=after)),
    st.sampled_from(["read", "create", "apply"]).map(lambda name: lambda scene: scene.host.fail_next(name)),
)
RELEASES: SearchStrategy[Step] = st.just(lambda scene: scene.reconciler.brake.release())


When = str | int
Schedule = list[tuple[Step, When]]
TURNS = st.integers(1, 40)


def schedules(steps: SearchStrategy[Step]) -> SearchStrategy[Schedule]:
    """Draw steps and when each happens.

    That is right after the last one, before a pass, during a backend call, or so many turns of the event loop after
    the pass has begun, or after the last such step.
    """
    return st.lists(st.tuples(steps, st.sampled_from(["at once", "pass", "call"]) | TURNS), max_size=12)


@pytest.fixture(autouse=True)
def _one_peer_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the event loop run after each peer, so that a step can come between any two; more than two are many."""
    monkeypatch.setattr("ikto_core.device.slices.SLICE", 1)
    monkeypatch.setattr("ikto_core.device.plan.MOST_JUDGED_AGAIN", 2)


async def play(scene: Scene, schedule: Schedule) -> None:
    beside: list[tuple[int, Callable[[], None]]] = []
    for step, when in schedule:
        if isinstance(when, int):
            beside.append((when, partial(step, scene)))
            continue
        if beside:
            await scene.reconcile_beside(beside)
            beside = []
        if when == "call":
            scene.backend.interruptions.append(partial(step, scene))
            continue
        step(scene)
        if when == "pass":
            try:
                await scene.reconcile()
            except BackendError:
                assert scene.reconciler.failure
    await scene.reconcile_beside(beside)
    await scene.reconcile_until_idle()


def assert_in_sync(scene: Scene) -> None:
    pending = scene.reconciler.brake.pending
    assert {key: shown for key, shown in scene.shown.items() if key not in pending} == scene.wanted
    assert pending == scene.shown.keys() - scene.wanted.keys()
    assert scene.reconciler.shown_revision == scene.revision
    assert scene.reconciler.failure == ""


@EFFORT
@given(
    st.sampled_from([UNLIMITED, ONE_AT_ONCE]),
    st.sampled_from([LOWEST, HIGHEST]),
    schedules(UPDATES | FAILURES | RELEASES),
)
def test_quick_passes_lose_no_update(limits: BrakeLimits, own_key: PublicKey, schedule: Schedule) -> None:
    """Nothing is changed outside Ikto, so quick passes after updates and full passes after failures suffice."""
    scene = Scene(limits=limits, own_key=own_key)
    asyncio.run(play(scene, schedule))
    assert_in_sync(scene)
    for key, peer in scene.view.peers.items():
        assert scene.device.peers[key].endpoint in peer.endpoints
    assert scene.drift == 0


@EFFORT
@given(st.sampled_from([UNLIMITED, ONE_AT_ONCE]), schedules(UPDATES | FAILURES | RELEASES | TAMPERING))
def test_a_full_pass_repairs_the_device_after_any_schedule(limits: BrakeLimits, schedule: Schedule) -> None:
    async def scenario() -> None:
        await play(scene, schedule)
        scene.reconciler.request_full_pass()
        await scene.reconcile_until_idle()

    scene = Scene(limits=limits)
    asyncio.run(scenario())
    assert_in_sync(scene)
    assert (scene.device.listen_port, scene.device.up) == (scene.base.listen_port, True)
    assert limits is ONE_AT_ONCE or scene.shown == scene.wanted
