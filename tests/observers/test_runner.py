"""Observers are told, whatever they do; what one does concerns neither the mesh nor another."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.agent.agent import observe
from ikto_core.config import Config
from ikto_core.errors import ConfigError, PluginError
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

CONTEXT = ObserverContext(argument="", ifname="wg0", mesh_cidr="10.0.0.0/24", name="ours", state_dir=Path("/nowhere"))
READY = MeshReady(subnet="10.0.0.16/28", address="10.0.0.18", ifname="wg0", revision=7)


class Mesh:
    """A mesh that changes, and the room that tells of it."""

    def __init__(self) -> None:
        self.news = EventHub()
        self.view = MeshView(RULES)
        self.revision = 0
        self.news.set_view(self.view)

    def rename(self, name: str, number: int = 2) -> None:
        """Let a peer have another name."""
        self.revision += 1
        changes = entries_of(record(f"10.0.0.{16 * number}/28", KEYS[number], name=name), since=self.revision)
        self.news.changed(self.view.update(changes), [*changes, *self.view.noncanonical])

    def names(self) -> set[str]:
        return {peer.name for peer in self.view.peers.values()}


class Notes:
    """An observer that notes what it is told, and then does what the test says."""

    def __init__(self) -> None:
        self.calls: list[tuple[MeshEvent, ...]] = []
        self.contexts: list[ObserverContext] = []
        self.opened = self.closed = 0
        self.mesh = Replay()  # as this opening was told
        self.does: Callable[[], Awaitable[object]] = _nothing
        self.opens: Callable[[], Awaitable[object]] = _nothing
        self.closes: Callable[[], Awaitable[object]] = _nothing

    async def see(self, events: Sequence[MeshEvent]) -> None:
        self.calls.append(tuple(events))
        self.mesh.see(events)
        await self.does()

    @asynccontextmanager
    async def open(self, context: ObserverContext) -> AsyncIterator[Observer]:
        self.contexts.append(context)
        await self.opens()
        self.opened += 1
        self.mesh = Replay()
        try:
            yield self
        finally:
            self.closed += 1
            await self.closes()

    def names(self) -> set[str]:
        return {peer.name for peer in self.mesh.peers.values()}

    def run(self, asked: str = "notes") -> ObserverRun:
        return ObserverRun(asked, ObserverPlugin(name="notes", summary="", open=self.open), CONTEXT)


async def _nothing() -> None:
    pass


@asynccontextmanager
async def told(mesh: Mesh, *runs: ObserverRun) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(observe(run, mesh.news)) for run in runs]
        yield
        for task in running:
            task.cancel()


@pytest.fixture
def mesh() -> Mesh:
    mesh = Mesh()
    mesh.rename("first")
    return mesh


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_S", 0.0)


async def test_everything_comes_first_and_then_what_is_new(mesh: Mesh) -> None:
    notes = Notes()
    async with told(mesh, notes.run()):
        await until(lambda: notes.calls)
        assert [type(event) for event in notes.calls[0]] == [Resync, PeerAccepted]
        mesh.rename("second")
        await until(lambda: notes.names() == {"second"})
        mesh.news.set_ready(READY)
        await until(lambda: notes.mesh.ready == READY)
    assert len(notes.calls) == 3
    assert (notes.opened, notes.closed) == (1, 1)


async def test_nothing_is_told_before_something_is_known() -> None:
    mesh, notes = Mesh(), Notes()
    mesh.news = EventHub()
    mesh.news.set_ready(READY)
    mesh.news.changed([], [])
    async with told(mesh, notes.run()):
        await until(lambda: notes.opened)
        for _ in range(10):
            await asyncio.sleep(0)
        assert notes.calls == []
        mesh.news.set_view(mesh.view)
        await until(lambda: notes.calls)
        assert notes.calls == [(Resync(peers=0, quarantined=0),)]


async def test_a_slow_one_is_told_the_last_state_only_and_holds_nobody_up(mesh: Mesh) -> None:
    slow, quick, go_on = Notes(), Notes(), asyncio.Event()
    slow.does = go_on.wait
    run = slow.run()
    async with told(mesh, run, quick.run()):
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
    """As extensions that are written in Rust raise."""


async def _raise_panic() -> None:
    raise _Panic


class _MuteError(Exception):
    def __str__(self) -> str:
        raise ValueError


async def _raise_mute() -> None:
    raise _MuteError


async def _raise_cancelled() -> None:
    raise asyncio.CancelledError


async def _raise_group() -> None:
    raise BaseExceptionGroup("several", [SystemExit(1), ValueError("x")])


async def _raise_from_tasks() -> None:
    """Up to Python 3.12 this leaves the task with a cancellation that nobody asked for."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_raise_error())


async def _raise_refusal() -> None:
    raise ConfigError("no such program", hint="give one")


FAILURES = [
    _raise_error,
    _raise_exit,
    _raise_panic,
    _raise_mute,
    _raise_cancelled,
    _raise_group,
    _raise_from_tasks,
    _raise_refusal,
]


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("where", ["opens", "does", "closes"])
async def test_one_that_fails_is_told_everything_anew_and_named_in_the_log(
    mesh: Mesh, where: str, failure: Callable[[], Awaitable[object]]
) -> None:
    notes, other = Notes(), Notes()
    setattr(notes, where, failure)
    if where == "closes":
        notes.does = _raise_error
    run = notes.run("notes=here")
    with capture_logs() as logged:
        async with told(mesh, run, other.run()):
            await until(lambda: run.stats.failures >= 1)
            assert run.failure
            notes.opens = notes.does = notes.closes = _nothing
            mesh.rename("later")
            await until(lambda: notes.names() == {"later"})
            await until(lambda: not run.failure)
            assert isinstance(notes.calls[-1][0], Resync)
            await until(lambda: other.names() == {"later"})
            assert other.opened == 1
    assert {entry["observer"] for entry in logged} == {"notes=here"}
    assert run.stats.events >= 2


async def test_after_each_failure_the_pause_is_longer(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(runner, "LONGEST_RETRY_S", 0.004)
    notes = Notes()
    notes.opens = _raise_error
    run = notes.run()
    with capture_logs() as logged:
        async with told(mesh, run):
            await until(lambda: run.stats.failures >= 4)
    assert [entry["next_try_in_s"] for entry in logged][:4] == [0.001, 0.002, 0.004, 0.004]


async def test_after_one_that_lasted_the_pause_is_short_again(mesh: Mesh, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "FIRST_RETRY_S", 0.001)
    notes = Notes()
    notes.opens = _raise_error
    run = notes.run()
    with capture_logs() as logged:
        async with told(mesh, run):
            await until(lambda: run.stats.failures >= 3)
            monkeypatch.setattr(runner, "LONGEST_RETRY_S", 0.0)  # whatever lasted, lasted long
            seen = run.stats.failures
            await until(lambda: run.stats.failures > seen)
    assert (logged[2]["next_try_in_s"], logged[seen]["next_try_in_s"]) == (0.004, 0.001)


async def test_one_that_ignores_its_end_or_takes_too_long_over_it_ends_all_the_same(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "CLOSE_TIMEOUT_S", 0.01)
    deaf, unopened, hanging = Notes(), Notes(), Notes()

    async def ignore() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            mesh.rename("there is more to tell")

    deaf.does = unopened.opens = ignore
    hanging.closes = asyncio.Event().wait
    async with asyncio.timeout(5), told(mesh, deaf.run(), unopened.run(), hanging.run()):
        await until(lambda: deaf.calls and hanging.calls)
    assert (len(deaf.calls), unopened.calls) == (1, [])
    assert hanging.closed == 1


async def test_an_agents_next_view_tells_only_what_differs(mesh: Mesh) -> None:
    """As after a rotation of the key, which starts the agent anew."""
    notes = Notes()
    async with told(mesh, notes.run()):
        await until(lambda: notes.calls)
        mesh.news.set_ready(READY)
        await until(lambda: notes.mesh.ready)
        mesh.view = MeshView(RULES)
        mesh.view.update(entries_of(record("10.0.0.32/28", KEYS[2], name="first"), since=9))
        mesh.news.set_view(mesh.view)
        mesh.news.set_ready(READY)
        mesh.rename("another", number=3)
        await until(lambda: notes.names() == {"first", "another"})
    assert [type(event) for event in notes.calls[-1]] == [PeerAccepted]
    assert notes.opened == 1


async def test_with_another_subnet_the_mesh_is_ready_once_the_device_shows_that_one(mesh: Mesh) -> None:
    mesh.news.set_ready(READY)
    other = replace(READY, subnet="10.0.0.48/28", address="10.0.0.50")
    with mesh.news.reader() as reader:
        assert (await anext(reader))[-1] == READY
        mesh.news.set_view(MeshView(replace(RULES, own_subnet=Prefix.parse(other.subnet))))
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(mesh.news.until_ready())
            await asyncio.sleep(0)
            assert not waiting.done()
            mesh.news.set_ready(other)
        assert waiting.result() == other
        assert (await anext(reader))[-1] == other


async def test_readers_end_with_the_room(mesh: Mesh) -> None:
    with mesh.news.reader() as reader:
        await anext(reader)
        mesh.news.close()
        async with asyncio.timeout(5):
            assert [events async for events in reader] == []


async def test_the_configuration_says_who_is_told_and_with_which_argument(mesh: Mesh, tmp_path: Path) -> None:
    config = Config(
        observers=("hosts", "exec=/a=b"), state_dir=str(tmp_path), name="ours", nats_url="nats://Bus,tls://u:p@[::1]:7"
    )
    found = {"hosts": Notes(), "exec": Notes()}
    runs = observer_runs(config, lambda name: ObserverPlugin(name=name, summary="", open=found[name].open))
    assert [run.asked for run in runs] == ["hosts", "exec=/a=b"]
    async with told(mesh, *runs):
        await until(lambda: all(notes.calls for notes in found.values()))
    context = ObserverContext(
        argument="/a=b",
        ifname="wg0",
        mesh_cidr="fd10::/16",
        name="ours",
        state_dir=tmp_path,
        nats_hosts=("bus", "::1"),
    )
    assert found["exec"].contexts == [context]
    assert found["hosts"].contexts == [replace(context, argument="")]


def test_an_observer_that_there_is_none_of_ends_the_start() -> None:
    def find(name: str) -> ObserverPlugin:
        raise PluginError(f"there is no observer {name!r}")

    with pytest.raises(PluginError, match="no observer 'hsots'"):
        observer_runs(Config(observers=("hsots",), state_dir="/nowhere"), find)
