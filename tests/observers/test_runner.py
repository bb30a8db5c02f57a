"""Observers receive events whatever they do, and a failing or slow one affects neither the mesh nor other observers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.admin.showing import observer_views
from ikto_core.agent.agent import run_observer
from ikto_core.agent.from_config import observer_context
from ikto_core.config import Config
from ikto_core.errors import ConfigError, IktoError, PluginError
from ikto_core.mesh.view import MeshView
from ikto_core.observers import runner
from ikto_core.observers.contract import (
    MeshEvent,
    MeshReady,
    Observer,
    ObserverContext,
    ObserverPlugin,
    PeerAccepted,
    Resync,
)
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.replay import Replay
from ikto_core.observers.runner import ObserverRun, observer_runs
from ikto_core.values.addressing import Prefix
from tests.mesh.test_view_properties import RULES
from tests.nodes import until
from tests.samples import KEYS, entries_of, record

CONTEXT = ObserverContext(argument="", ifname="wg0", mesh_cidr="10.0.0.0/24", name="node-a", state_dir=Path("/nowhere"))
READY = MeshReady(subnet="10.0.0.16/28", address="10.0.0.18", ifname="wg0", revision=7)


class Mesh:
    """A mesh that changes, and its event hub."""

    def __init__(self) -> None:
        self.hub = EventHub()
        self.view = MeshView(RULES)
        self.revision = 0
        self.hub.set_view(self.view)

    def rename(self, name: str, number: int = 2) -> None:
        """Give a peer another name, or add it."""
        self.revision += 1
        changes = entries_of(record(f"10.0.0.{16 * number}/28", KEYS[number], name=name), since=self.revision)
        self.hub.mark_changed(self.view.update(changes), self.view.decided)

    def names(self) -> set[str]:
        return {peer.name for peer in self.view.peers.values()}


class RecordingObserver:
    """An observer that records its calls, and then does what the test sets."""

    def __init__(self) -> None:
        self.calls: list[tuple[MeshEvent, ...]] = []
        self.contexts: list[ObserverContext] = []
        self.opened = self.closed = 0
        self.mesh = Replay()  # of the events since it was last opened
        self.on_see: Callable[[], Awaitable[object]] = _nothing
        self.on_open: Callable[[], Awaitable[object]] = _nothing
        self.on_close: Callable[[], Awaitable[object]] = _nothing

    async def see(self, events: Sequence[MeshEvent]) -> None:
        self.calls.append(tuple(events))
        self.mesh.see(events)
        await self.on_see()

    @asynccontextmanager
    async def open(self, context: ObserverContext) -> AsyncIterator[Observer]:
        self.contexts.append(context)
        await self.on_open()
        self.opened += 1
        self.mesh = Replay()
        try:
            yield self
        finally:
            self.closed += 1
            await self.on_close()

    def names(self) -> set[str]:
        return {peer.name for peer in self.mesh.peers.values()}

    def run(self, name: str = "recorder") -> ObserverRun:
        return ObserverRun(name, ObserverPlugin(name="recorder", summary="", open=self.open), CONTEXT)


async def _nothing() -> None:
    pass


@asynccontextmanager
async def running(mesh: Mesh, *runs: ObserverRun) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        delivering = [tasks.create_task(run_observer(run, mesh.hub)) for run in runs]
        yield
        for task in delivering:
            task.cancel()


@pytest.fixture
def mesh() -> Mesh:
    mesh = Mesh()
    mesh.rename("first")
    return mesh


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_S", 0.0)


async def test_the_complete_state_comes_first_and_then_changes(mesh: Mesh) -> None:
    observer = RecordingObserver()
    async with running(mesh, observer.run()):
        await until(lambda: observer.calls)
        assert [type(event) for event in observer.calls[0]] == [Resync, PeerAccepted]
        mesh.rename("second")
        await until(lambda: observer.names() == {"second"})
        mesh.hub.set_ready(READY)
        await until(lambda: observer.mesh.ready == READY)
    assert len(observer.calls) == 3
    assert (observer.opened, observer.closed) == (1, 1)


async def test_no_event_is_delivered_before_the_mesh_is_known() -> None:
    mesh, observer = Mesh(), RecordingObserver()
    mesh.hub = EventHub()
    mesh.hub.set_ready(READY)
    mesh.hub.mark_changed([], [])
    async with running(mesh, observer.run()):
        await until(lambda: observer.opened)
        for _ in range(10):
            await asyncio.sleep(0)
        assert observer.calls == []
        mesh.hub.set_view(mesh.view)
        await until(lambda: observer.calls)
        assert observer.calls == [(Resync(peers=0, quarantined=0),)]


async def test_a_slow_observer_receives_the_latest_state_only_and_delays_no_other(mesh: Mesh) -> None:
    slow, quick, go_on = RecordingObserver(), RecordingObserver(), asyncio.Event()
    slow.on_see = go_on.wait
    run = slow.run()
    async with running(mesh, run, quick.run()):
        await until(lambda: slow.calls)
        for number in range(1000):
            mesh.rename(f"name {number}", number=2 + number % 3)
            assert run.waiting <= 3
        await until(lambda: quick.names() == mesh.names())
        assert len(slow.calls) == 1
        go_on.set()
        await until(lambda: slow.names() == mesh.names())
        assert len(slow.calls) == 2
        assert len(slow.calls[1]) == 3


async def _raise_error() -> None:
    raise ValueError("no\nsuch thing")


async def _raise_exit() -> None:
    raise SystemExit(3)


class _Panic(BaseException):
    """Like the panics of extensions written in Rust."""


async def _raise_panic() -> None:
    raise _Panic


class _NoTextError(Exception):
    def __str__(self) -> str:
        raise ValueError


async def _raise_no_text() -> None:
    raise _NoTextError


async def _raise_cancelled() -> None:
    raise asyncio.CancelledError


async def _raise_group() -> None:
    raise BaseExceptionGroup("several", [SystemExit(1), ValueError("x")])


async def _raise_from_tasks() -> None:
    """Up to Python 3.12 this leaves the task with a stray cancellation."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_raise_error())


async def _raise_config_error() -> None:
    raise ConfigError("no such program", hint="give one")


FAILURES = [
    _raise_error,
    _raise_exit,
    _raise_panic,
    _raise_no_text,
    _raise_cancelled,
    _raise_group,
    _raise_from_tasks,
    _raise_config_error,
]


@pytest.mark.usefixtures("no_pause")
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("where", ["on_open", "on_see", "on_close"])
async def test_a_failing_observer_is_opened_again_with_the_complete_state_and_named_in_the_log(
    mesh: Mesh, where: str, failure: Callable[[], Awaitable[object]]
) -> None:
    observer, other = RecordingObserver(), RecordingObserver()
    setattr(observer, where, failure)
    if where == "on_close":
        observer.on_see = _raise_error
    run = observer.run("recorder=here")
    with capture_logs() as logged:
        async with running(mesh, run, other.run()):
            await until(lambda: run.stats.failures >= 1)
            assert run.failure
            observer.on_open = observer.on_see = observer.on_close = _nothing
            mesh.rename("later")
            await until(lambda: observer.names() == {"later"})
            await until(lambda: not run.failure)
            assert isinstance(observer.calls[-1][0], Resync)
            await until(lambda: other.names() == {"later"})
            assert other.opened == 1
    assert {entry["observer"] for entry in logged} == {"recorder=here"}
    assert run.stats.events >= 2


async def test_the_pause_grows_with_each_failure(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(runner, "LONGEST_RETRY_S", 0.004)
    monkeypatch.setattr(runner, "time", SimpleNamespace(monotonic=lambda: 0.0))  # no attempt counts as long
    observer = RecordingObserver()
    observer.on_open = _raise_error
    run = observer.run()
    with capture_logs() as logged:
        async with running(mesh, run):
            await until(lambda: run.stats.failures >= 4)
    assert [entry["next_try_in_s"] for entry in logged][:4] == [0.001, 0.002, 0.004, 0.004]


async def test_the_pause_is_short_again_after_an_attempt_that_lasted(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_S", 0.001)
    observer = RecordingObserver()
    observer.on_open = _raise_error
    run = observer.run()
    with capture_logs() as logged:
        async with running(mesh, run):
            await until(lambda: run.stats.failures >= 3)
            monkeypatch.setattr(runner, "LONGEST_RETRY_S", 0.0)  # every attempt counts as long
            seen = run.stats.failures
            await until(lambda: run.stats.failures > seen)
    assert (logged[2]["next_try_in_s"], logged[seen]["next_try_in_s"]) == (0.004, 0.001)


async def test_an_observer_that_ignores_cancellation_or_closes_slowly_is_ended(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "CLOSE_TIMEOUT_S", 0.01)
    stubborn, unopened, hanging = RecordingObserver(), RecordingObserver(), RecordingObserver()

    async def ignore() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            mesh.rename("another event")

    stubborn.on_see = unopened.on_open = ignore
    hanging.on_close = asyncio.Event().wait
    async with asyncio.timeout(60), running(mesh, stubborn.run(), unopened.run(), hanging.run()):
        await until(lambda: stubborn.calls and hanging.calls)
    assert (len(stubborn.calls), unopened.calls) == (1, [])
    assert hanging.closed == 1


async def test_a_new_view_delivers_only_what_differs(mesh: Mesh) -> None:
    """As after a key rotation, which restarts the agent."""
    observer = RecordingObserver()
    async with running(mesh, observer.run()):
        await until(lambda: observer.calls)
        mesh.hub.set_ready(READY)
        await until(lambda: observer.mesh.ready)
        mesh.view = MeshView(RULES)
        mesh.view.update(entries_of(record("10.0.0.32/28", KEYS[2], name="first"), since=9))
        mesh.hub.set_view(mesh.view)
        mesh.hub.set_ready(READY)
        mesh.rename("another", number=3)
        await until(lambda: observer.names() == {"first", "another"})
    assert [type(event) for event in observer.calls[-1]] == [PeerAccepted]
    assert observer.opened == 1


async def test_after_a_change_of_subnet_the_mesh_is_ready_once_the_device_shows_the_new_one(mesh: Mesh) -> None:
    mesh.hub.set_ready(READY)
    other = replace(READY, subnet="10.0.0.48/28", address="10.0.0.50")
    with mesh.hub.reader() as reader:
        assert (await anext(reader))[-1] == READY
        mesh.hub.set_view(MeshView(replace(RULES, own_subnet=Prefix.parse(other.subnet))))
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(mesh.hub.until_ready())
            await asyncio.sleep(0)
            assert not waiting.done()
            mesh.hub.set_ready(other)
        assert waiting.result() == other
        assert (await anext(reader))[-1] == other


async def test_readers_end_with_the_hub(mesh: Mesh) -> None:
    with mesh.hub.reader() as reader:
        await anext(reader)
        mesh.hub.close()
        async with asyncio.timeout(60):
            assert [events async for events in reader] == []


async def test_the_setting_selects_observers_and_their_arguments(mesh: Mesh, tmp_path: Path) -> None:
    config = Config(
        observers=("hosts", "exec=/a=b"),
        state_dir=str(tmp_path),
        name="node-a",
        nats_url="nats://Bus,tls://u:p@[::1]:7",
    )
    found = {"hosts": RecordingObserver(), "exec": RecordingObserver()}
    runs = observer_runs(
        config.observers,
        observer_context(config),
        lambda name: ObserverPlugin(name=name, summary="", open=found[name].open),
    )
    assert [run.name for run in runs] == ["hosts", "exec=/a=b"]
    async with running(mesh, *runs):
        await until(lambda: all(observer.calls for observer in found.values()))
    context = ObserverContext(
        argument="/a=b",
        ifname="wg0",
        mesh_cidr="fd10::/16",
        name="node-a",
        state_dir=tmp_path,
        nats_hosts=("bus", "::1"),
    )
    assert found["exec"].contexts == [context]
    assert found["hosts"].contexts == [replace(context, argument="")]


def test_an_unknown_observer_is_an_error_at_start() -> None:
    def find(name: str) -> ObserverPlugin:
        raise PluginError(f"there is no observer {name!r}")

    with pytest.raises(PluginError, match="no observer 'hsots'"):
        observer_runs(("hsots",), observer_context(Config(state_dir="/nowhere")), find)


async def test_the_hint_of_a_failure_is_in_the_log_and_in_the_status(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_S", 3600.0)
    observer = RecordingObserver()

    async def fail() -> None:
        raise IktoError("no such program", hint="install it")

    observer.on_open = fail
    run = observer.run()
    with capture_logs() as logged:
        async with running(mesh, run):
            await until(lambda: run.failure)
            (view,) = observer_views([run])
    assert (view.failure, view.hint) == ("no such program", "install it")
    assert [entry["hint"] for entry in logged] == ["install it"]
