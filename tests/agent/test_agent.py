"""The agent ends when it is told to, whatever it is at."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.agent import key_rotation as rotation
from ikto_core.agent.agent import run_agent, running
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.report import Report
from ikto_core.builtin.ipam import RandomStrategy
from ikto_core.config import Config
from ikto_core.device.backend import BackendContext, BackendPlugin, DeviceEvent
from ikto_core.disk.key_file import ensure_next_key, load_private_key, write_private_key
from ikto_core.errors import BackendError
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.lab.nats_server import NatsServer
from ikto_core.store.bucket import Bucket
from tests.nodes import OWN_PRIVATE_KEY, until
from tests.observers.test_runner import Notes

IPAM = IpamPlugin(name="random", summary="", make=RandomStrategy)


class LingeringBackend(FakeBackend):
    """Takes its time to end, once it has begun to: long enough for a stop to arrive meanwhile."""

    def __init__(self) -> None:
        super().__init__(FakeHost())
        self.ending = asyncio.Event()

    @asynccontextmanager
    async def open(self, _: BackendContext) -> AsyncIterator[FakeBackend]:
        yield self

    async def events(self) -> AsyncIterator[DeviceEvent]:
        try:
            async for event in super().events():
                yield event
        finally:
            self.ending.set()
            for _ in range(20):
                await asyncio.sleep(0)


async def test_a_stop_in_the_middle_of_a_switch_of_keys_ends_the_agent(
    shared_server: NatsServer, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to Python 3.12 a TaskGroup that one of its tasks has ended already takes a cancellation for its own."""
    monkeypatch.setattr(rotation, "learning_s", lambda _: 0.0)
    config = Config(
        private_address="auto",
        mesh_cidr="fd10::/16",
        subnet_prefix=48,
        advertise_address="192.0.2.1",
        private_key_path=str(tmp_path / "key"),
        state_dir=str(tmp_path),
        nats_url=shared_server.url,
        nats_kv=bucket.name,
    )
    write_private_key(tmp_path / "key", OWN_PRIVATE_KEY)
    next_key = ensure_next_key(tmp_path / "key")  # so the agent goes on with the rotation
    backend = LingeringBackend()
    plugin = BackendPlugin(name="lingering", summary="", open=backend.open)
    options = AgentOptions(
        config=config, backend=plugin, ipam=IPAM, key_path=tmp_path / "key", socket=tmp_path / "socket"
    )
    agent = asyncio.create_task(run_agent(options, OWN_PRIVATE_KEY))
    async with asyncio.timeout(20):
        await backend.ending.wait()
    assert load_private_key(tmp_path / "key") == next_key, "it is the switch that ends it"
    agent.cancel()
    await asyncio.wait([agent], timeout=5)
    stopped = agent.done()
    agent.cancel()
    await asyncio.wait([agent])
    assert stopped
    assert agent.cancelled()


async def _fails_when_it_is_stopped() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise BackendError("it could not be closed")


async def _beside(coroutine: Coroutine[Any, Any, None], raised: Exception | None = None) -> None:
    async with asyncio.timeout(5), running(coroutine):
        await asyncio.sleep(0)  # so that it has begun
        if raised:
            raise raised


async def test_what_fails_as_it_is_stopped_is_told_and_leaves_no_cancellation_behind() -> None:
    with pytest.raises(BackendError, match="could not be closed"):
        await _beside(_fails_when_it_is_stopped())
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_what_a_block_raises_comes_before_what_fails_because_of_it() -> None:
    mine = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as raised:
        await _beside(_fails_when_it_is_stopped(), mine)
    assert raised.value is mine


async def test_tasks_of_the_block_that_fail_are_its_own_affair() -> None:
    """Up to Python 3.12 they leave a cancellation behind that nobody asked for."""

    async def block() -> None:
        async with running(_fails_when_it_is_stopped()), asyncio.TaskGroup() as tasks:
            tasks.create_task(_fails())

    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.create_task(block())
    assert [str(error) for error in raised.value.exceptions] == ["no"]


async def test_a_stop_of_the_block_is_one_whatever_fails_meanwhile() -> None:
    block = asyncio.create_task(_beside(_fails_when_it_is_stopped(), None))
    await asyncio.sleep(0)
    block.cancel()
    await asyncio.wait([block])
    assert block.cancelled()


async def test_an_agents_observers_are_told_shown_in_its_status_and_closed_when_it_stops(
    shared_server: NatsServer, bucket: Bucket, tmp_path: Path
) -> None:
    config = Config(
        private_address="fd10:1::1",
        advertise_address="192.0.2.1",
        state_dir=str(tmp_path),
        nats_url=shared_server.url,
        nats_kv=bucket.name,
    )
    plugin = BackendPlugin(name="fake", summary="", open=FakeHost().open)
    told, failing, agents = Notes(), Notes(), list[Report]()
    failing.opens = _fails
    runs = (told.run("told"), failing.run("failing=x"))
    options = AgentOptions(config=config, backend=plugin, ipam=IPAM, observers=runs, on_agent=agents.append)
    async with asyncio.timeout(20), running(run_agent(options, OWN_PRIVATE_KEY)):
        await until(lambda: told.mesh.ready and runs[1].failure)
        shown = (await agents[0].status()).observers
        assert [(view.name, view.failure) for view in shown] == [("told", None), ("failing=x", "no")]
        assert shown[0].counters.events == sum(len(call) for call in told.calls)
    assert (told.opened, told.closed) == (1, 1)


async def _fails() -> None:
    raise BackendError("no")
