"""A program runs agents in its own event loop: it waits for their progress, reads their events, and stops them."""

import asyncio
import logging
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from ikto_backends.fake import FakeHost
from ikto_core import embedding
from ikto_core.agent import key_rotation
from ikto_core.config import Config, config_of
from ikto_core.device.backend import BackendPlugin
from ikto_core.disk.key_file import load_private_key, write_private_key
from ikto_core.embedding import RunningAgent, running_agent
from ikto_core.errors import AddressInUseError, BackendError, ConfigError, IktoError, NatsError, PluginError
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import encode_record, record_key
from ikto_core.observers.contract import MeshEvent, MeshReady, PeerAccepted, PeerRemoved, Resync
from ikto_core.store.bucket import Bucket
from ikto_core.testing.devices import private_key_of, public_key_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey
from tests.device.reconciling import record
from tests.nodes import until

WG = "wg0"
TIMEOUT_S = 60


class Embedder:
    """A program that runs agents, each on a fake host of its own."""

    def __init__(self, server: NatsServer, bucket: Bucket, directory: Path) -> None:
        self.server = server
        self.bucket = bucket
        self.directory = directory
        self.hosts: dict[int, FakeHost] = {}

    def config(self, number: int, **settings: Any) -> Config:
        defaults: dict[str, Any] = {
            "name": f"node-{number}",
            "private_address": f"fd10:{number:x}::1",
            "advertise_address": f"192.0.2.{number}",
            "state_dir": str(self.directory / str(number)),
            "nats_url": self.server.url,
            "nats_kv": self.bucket.name,
            "backend": "fake",
        }
        return config_of(**defaults | settings)

    def backend(self, number: int) -> BackendPlugin:
        host = self.hosts.setdefault(number, FakeHost())
        return BackendPlugin(name="fake", summary="", open=host.open, host_devices=False)

    @asynccontextmanager
    async def agent(self, number: int, **settings: Any) -> AsyncIterator[RunningAgent]:
        async with asyncio.timeout(TIMEOUT_S):
            config, key = self.config(number, **settings), private_key_of(number)
            async with running_agent(config, private_key=key, backend=self.backend(number)) as agent:
                yield agent

    def peers(self, number: int) -> set[PublicKey]:
        """Return the public keys that the device of this agent has as peers."""
        device = self.hosts[number].device(WG)
        return set(device.peers) if device else set()

    async def delete(self, allowed_ip: str) -> None:
        """Delete the record of a subnet."""
        key = record_key(allowed_ip)
        entry = await self.bucket.get(key)
        await self.bucket.put(key, None, expected=entry.revision if entry else 0)


@pytest.fixture
def embedder(shared_server: NatsServer, bucket: Bucket, tmp_path: Path) -> Embedder:
    return Embedder(shared_server, bucket, tmp_path)


async def read_until(agent: RunningAgent, kind: type[MeshEvent], events: list[MeshEvent]) -> MeshEvent:
    """Append events up to the first of this kind to `events`; return that one."""
    async for event in agent.events():
        events.append(event)
        if isinstance(event, kind):
            return event
    raise AssertionError("the agent has ended")


# -- while it runs -----------------------------------------------------------------------------------------------------


async def test_a_program_waits_for_claim_and_device_which_stay_afterwards(embedder: Embedder) -> None:
    async with embedder.agent(1) as agent:
        assert await agent.claimed() == Prefix.parse("fd10:1::/48")
        ready = await agent.ready()
        assert (ready.subnet, ready.address, ready.ifname) == ("fd10:1::/48", "fd10:1::1", WG)
        assert await agent.shown() == (), "there are no peers"
        status = await agent.status()
        assert (status.name, status.allowed_ip, status.backend) == ("node-1", "fd10:1::/48", "fake")
    device = embedder.hosts[1].device(WG)
    assert device
    assert device.up
    assert await embedder.bucket.get(record_key("fd10:1::/48"))


async def test_several_agents_in_one_event_loop_form_a_mesh(embedder: Embedder) -> None:
    async with AsyncExitStack() as stack:
        agents = [await stack.enter_async_context(embedder.agent(number)) for number in (1, 2, 3)]
        for agent in agents:
            await agent.ready()
        for number in (1, 2, 3):
            others = {private_key_of(other).public() for other in (1, 2, 3) if other != number}
            await until(lambda number=number, others=others: embedder.peers(number) == others)  # type: ignore[misc]


async def test_events_are_those_of_an_observer_and_each_reader_receives_all(embedder: Embedder) -> None:
    async with embedder.agent(1, removal_limit=100) as agent:
        await agent.ready()
        early: list[MeshEvent] = []
        assert await read_until(agent, MeshReady, early) == await agent.ready()
        assert early[0] == Resync(peers=0, quarantined=0)
        async with embedder.agent(2):
            accepted = await read_until(agent, PeerAccepted, [])
            assert isinstance(accepted, PeerAccepted)
            assert (accepted.peer.name, accepted.peer.subnets) == ("node-2", ("fd10:2::/48",))
            assert accepted.peer.addresses == ("fd10:2::1",)
            reader = agent.events()
            assert isinstance(await anext(reader), Resync)
            assert await anext(reader) == accepted
            assert isinstance(await anext(reader), MeshReady)
        await embedder.delete("fd10:2::/48")
        assert await anext(reader) == PeerRemoved(peer=accepted.peer)


async def test_signal_handlers_logging_and_tasks_are_left_unchanged(embedder: Embedder) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    loggers = [*logging.getLogger().handlers]
    tasks = asyncio.all_tasks()
    async with embedder.agent(1) as agent:
        await agent.ready()
        assert {number: signal.getsignal(number) for number in handlers} == handlers
        assert logging.getLogger().handlers == loggers
        assert not structlog.is_configured()
    assert asyncio.all_tasks() == tasks


# -- reachability of peers ---------------------------------------------------------------------------------------------


async def put(bucket: Bucket, number: int) -> None:
    """Write the record of the peer of this number."""
    found = record(number)
    await bucket.put(found.key, encode_record(found), expected=0)


async def test_a_handshake_since_the_claim_confirms_that_a_peer_has_this_node(
    embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "POLL_EVERY_S", 0.0)
    for number in (2, 3, 4):
        await put(embedder.bucket, number)
    async with embedder.agent(1) as agent:
        await agent.ready()
        host = embedder.hosts[1]
        await until(lambda: len(embedder.peers(1)) == 3)
        host.handshake(WG, public_key_of(2), time.time())
        host.handshake(WG, public_key_of(3), time.time() - 3600)
        missing = await agent.shown(timeout_s=0)
        assert sorted(peer.name for peer in missing) == ["node-3", "node-4"], "an old handshake, and none"
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(agent.shown(timeout_s=TIMEOUT_S))
            for _ in range(5):
                await asyncio.sleep(0)
            host.handshake(WG, public_key_of(3), time.time() - 3600, rx_bytes=32)
            await put(embedder.bucket, 5)
            await until(lambda: public_key_of(5) in embedder.peers(1))
            await embedder.delete("fd10:4::/48")
        assert waiting.result() == (), "3 has sent data, 4 has left, 5 came later and is not waited for"


async def test_waiting_for_peers_raises_backend_error_if_the_device_cannot_be_read(embedder: Embedder) -> None:
    await put(embedder.bucket, 2)
    async with embedder.agent(1) as agent:
        await agent.ready()
        embedder.hosts[1].fail_next("read", BackendError("no netlink"))
        with pytest.raises(BackendError, match="no netlink"):
            await agent.shown()


# -- how a run ends ----------------------------------------------------------------------------------------------------


async def run_until_claimed(embedder: Embedder, error: Exception | None = None, **settings: Any) -> None:
    async with embedder.agent(1, **settings) as agent:
        await agent.claimed()
        if error:
            raise error


async def test_an_agent_that_fails_ends_the_block_with_its_error(embedder: Embedder) -> None:
    found = record(1, key=9)
    await embedder.bucket.put(found.key, encode_record(found), expected=0)
    with pytest.raises(AddressInUseError, match="node-1"):
        await run_until_claimed(embedder)


async def test_an_agent_that_loses_its_subnet_cancels_the_block(embedder: Embedder) -> None:
    """To a copy of its machine, which has its key."""

    async def lose() -> None:
        async with embedder.agent(1) as agent:
            await agent.ready()
            key = record_key("fd10:1::/48")
            entry = await embedder.bucket.get(key)
            assert entry
            private_key = private_key_of(1)
            copy = replace(record(1, key=1), public_key=private_key.public(), allowed_ip="fd10:1::/48", serial=10**15)
            value = signed_value(copy, private_key, embedder.bucket.name, bytes(64))
            await embedder.bucket.put(key, value, expected=entry.revision)
            await asyncio.Event().wait()

    with pytest.raises(AddressInUseError):
        await lose()
    assert embedder.hosts[1].device(WG) is None


async def test_a_first_start_without_nats_raises_nats_error(embedder: Embedder) -> None:
    with pytest.raises(NatsError):
        await run_until_claimed(embedder, nats_url="nats://127.0.0.1:1")


@pytest.mark.parametrize("error", [ValueError("x"), ExceptionGroup("x", [ValueError("a"), NatsError("b")])])
async def test_an_error_of_the_block_is_raised_unchanged_and_the_agent_stops(
    embedder: Embedder, error: Exception
) -> None:
    tasks = asyncio.all_tasks()
    with pytest.raises(type(error)) as raised:
        await run_until_claimed(embedder, error)
    assert raised.value is error
    assert asyncio.all_tasks() == tasks


@pytest.mark.parametrize("early", [True, False])
async def test_a_program_that_is_cancelled_stops_its_agent(embedder: Embedder, early: bool) -> None:
    ready = asyncio.Event()

    async def program() -> None:
        async with embedder.agent(1) as agent:
            if not early:
                await agent.ready()
            ready.set()
            await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(program())
        await ready.wait()
        running.cancel()
    assert running.cancelled()
    assert asyncio.all_tasks() == before


async def test_waiting_for_an_agent_that_has_ended_raises_ikto_error(embedder: Embedder) -> None:
    """The waiting task may be another one of the program, which is not cancelled with the block."""
    await put(embedder.bucket, 2)
    async with embedder.agent(1) as agent:
        await agent.ready()
        reader = agent.events()
        await anext(reader)
        await until(lambda: embedder.peers(1))
        waiting = asyncio.ensure_future(agent.shown(timeout_s=3600))
        await asyncio.sleep(0)
    assert [type(event) for event in [event async for event in reader]] == [PeerAccepted, MeshReady]
    for call in (waiting, agent.shown(), agent.status()):
        with pytest.raises(IktoError, match="has ended"):
            await call


# -- arguments ---------------------------------------------------------------------------------------------------------


def test_config_of_checks_every_setting() -> None:
    assert config_of(private_address="auto", endpoints=["192.0.2.1:1"], wg_port=7).wg_port == 7
    with pytest.raises(ConfigError) as raised:
        config_of(private_address="auto", wg_port="7", wg_prot=7)
    assert raised.value.problems == (
        "wg_prot: is not a known setting (as given); did you mean wg_port?",
        'wg_port: "7" is not a port (as given); give 1 to 65535',
    )


async def test_installed_plugins_are_used_unless_others_are_given(embedder: Embedder, tmp_path: Path) -> None:
    key = private_key_of(1)
    async with asyncio.timeout(TIMEOUT_S), running_agent(embedder.config(1), private_key=key) as agent:
        await agent.ready()
        assert (tmp_path / "1" / "fake-wg0.json").exists()
    with pytest.raises(PluginError, match="no-such"):
        async with running_agent(embedder.config(1, backend="no-such"), private_key=key):
            raise AssertionError("entered without a backend")


async def test_the_admin_socket_is_optional(embedder: Embedder, tmp_path: Path) -> None:
    config, socket = embedder.config(1), tmp_path / "socket"
    async with running_agent(config, private_key=private_key_of(1), backend=embedder.backend(1), socket=socket):
        await until(socket.exists)
    assert not socket.exists()


# -- keys and restarts -------------------------------------------------------------------------------------------------


async def test_a_key_rotation_repeats_no_events(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_rotation, "learning_s", lambda _: 0.0)
    path = tmp_path / "key"
    write_private_key(path, private_key_of(1))
    await put(embedder.bucket, 2)
    config, events = embedder.config(1, private_key_path=str(path)), list[MeshEvent]()
    async with asyncio.timeout(TIMEOUT_S), running_agent(config, backend=embedder.backend(1)) as agent:
        await read_until(agent, MeshReady, events)
        reader = agent.events()
        before = [await anext(reader) for _ in events]
        await agent.rotate_key()
        await until(lambda: load_private_key(path) != private_key_of(1))
        new_key = load_private_key(path).public()
        while (await agent.status()).public_key != new_key.text:
            await asyncio.sleep(0)
        await agent.claimed()
        await put(embedder.bucket, 3)
        accepted = await anext(reader)
    assert before == events
    assert isinstance(accepted, PeerAccepted)
    assert accepted.peer.name == "node-3"


async def test_a_key_that_was_given_is_not_rotated(embedder: Embedder) -> None:
    async with embedder.agent(1) as agent:
        await agent.ready()
        with pytest.raises(IktoError, match="given by a program"):
            await agent.rotate_key()


async def test_after_a_reboot_without_nats_events_show_the_snapshot(embedder: Embedder) -> None:
    await put(embedder.bucket, 2)
    async with embedder.agent(1) as agent:
        await agent.ready()
    embedder.hosts[1] = FakeHost()
    events: list[MeshEvent] = []
    async with embedder.agent(1, nats_url="nats://127.0.0.1:1") as agent:
        await read_until(agent, MeshReady, events)
    assert [type(event) for event in events] == [Resync, PeerAccepted, MeshReady]


async def test_a_restarted_agent_reads_what_changed_since_its_snapshot(embedder: Embedder) -> None:
    for number in range(2, 30):
        await put(embedder.bucket, number)
    async with embedder.agent(1) as agent:
        await agent.ready()
        assert (await agent.status()).counters.follower.whole_walks == 1
    await put(embedder.bucket, 30)
    async with embedder.agent(1) as agent:
        await until(lambda: public_key_of(30) in embedder.peers(1))
        counters = (await agent.status()).counters.follower
        assert (counters.whole_walks, counters.catch_ups) == (0, 1)
    assert embedder.peers(1) == {public_key_of(number) for number in range(2, 31)}


def test_a_private_key_is_parsed_from_its_text() -> None:
    assert PrivateKey.parse(private_key_of(1).text) == private_key_of(1)
