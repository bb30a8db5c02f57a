"""The agent stops when it is cancelled, also during a key rotation, and reports what failed."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.agent import key_rotation
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
from tests.observers.test_runner import RecordingObserver

IPAM = IpamPlugin(name="random", summary="", make=RandomStrategy)


class SlowBackend(FakeBackend):
    """Takes a while to close its event stream, so that a cancellation can arrive meanwhile."""

    def __init__(self) -> None:
        super().__init__(FakeHost())
        self.closing = asyncio.Event()

    @asynccontextmanager
    async def open(self, _: BackendContext) -> AsyncIterator[FakeBackend]:
        yield self

    async def events(self) -> AsyncIterator[DeviceEvent]:
        try:
            async for event in super().events():
                yield event
        finally:
            self.closing.set()
            for _ in range(20):
                await asyncio.sleep(0)


async def test_a_cancellation_during_the_switch_of_keys_ends_the_agent(
    shared_server: NatsServer, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to Python 3.12 a TaskGroup that one of its tasks is already ending swallows a cancellation."""
    monkeypatch.setattr(key_rotation, "learning_s", lambda _: 0.0)
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
    next_key = ensure_next_key(tmp_path / "key")  # so the agent resumes the rotation
    backend = SlowBackend()
    plugin = BackendPlugin(name="slow", summary="", open=backend.open, host_devices=False)
    options = AgentOptions(
        config=config, backend=plugin, ipam=IPAM, key_path=tmp_path / "key", socket=tmp_path / "socket"
    )
    agent = asyncio.create_task(run_agent(options, OWN_PRIVATE_KEY))
    async with asyncio.timeout(60):
        await backend.closing.wait()
    assert load_private_key(tmp_path / "key") == next_key, "the switch ends the first agent"
    agent.cancel()
    await asyncio.wait([agent], timeout=60)
    stopped = agent.done()
    agent.cancel()
    await asyncio.wait([agent])
    assert stopped
    assert agent.cancelled()


async def _fail_when_cancelled() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise BackendError("could not be closed")


async def _run_beside(coroutine: Coroutine[Any, Any, None], raised: Exception | None = None) -> None:
    async with asyncio.timeout(60), running(coroutine):
        await asyncio.sleep(0)  # so that the coroutine has begun
        if raised:
            raise raised


async def test_an_error_while_stopping_is_raised_and_leaves_no_cancellation_behind() -> None:
    with pytest.raises(BackendError, match="could not be closed"):
        await _run_beside(_fail_when_cancelled())
    task = asyncio.current_task()
    assert task
    assert task.cancelling() == 0


async def test_an_error_of_the_block_is_raised_rather_than_one_of_the_stopped_agent() -> None:
    error = ValueError("of the block")
    with pytest.raises(ValueError, match="of the block") as raised:
        await _run_beside(_fail_when_cancelled(), error)
    assert raised.value is error


async def test_a_failing_task_group_in_the_block_raises_its_own_errors() -> None:
    """Up to Python 3.12 they leave behind a cancellation that was never requested."""

    async def block() -> None:
        async with running(_fail_when_cancelled()), asyncio.TaskGroup() as tasks:
            tasks.create_task(_fail())

    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.create_task(block())
    assert [str(error) for error in raised.value.exceptions] == ["no"]


async def test_a_cancelled_block_is_cancelled_although_something_fails_meanwhile() -> None:
    block = asyncio.create_task(_run_beside(_fail_when_cancelled(), None))
    await asyncio.sleep(0)
    block.cancel()
    await asyncio.wait([block])
    assert block.cancelled()


async def test_observers_receive_events_appear_in_the_status_and_are_closed_with_the_agent(
    shared_server: NatsServer, bucket: Bucket, tmp_path: Path
) -> None:
    config = Config(
        private_address="fd10:1::1",
        advertise_address="192.0.2.1",
        state_dir=str(tmp_path),
        nats_url=shared_server.url,
        nats_kv=bucket.name,
    )
    plugin = BackendPlugin(name="fake", summary="", open=FakeHost().open, host_devices=False)
    working, failing, agents = RecordingObserver(), RecordingObserver(), list[Report]()
    failing.on_open = _fail
    runs = (working.run("working"), failing.run("failing=x"))
    options = AgentOptions(config=config, backend=plugin, ipam=IPAM, observers=runs, on_agent=agents.append)
    async with asyncio.timeout(60), running(run_agent(options, OWN_PRIVATE_KEY)):
        await until(lambda: working.mesh.ready and runs[1].failure)
        shown = (await agents[0].status()).observers
        assert [(view.name, view.failure) for view in shown] == [("working", None), ("failing=x", "no")]
        assert shown[0].counters.events == sum(len(call) for call in working.calls)
    assert (working.opened, working.closed) == (1, 1)


async def _fail() -> None:
    raise BackendError("no")
