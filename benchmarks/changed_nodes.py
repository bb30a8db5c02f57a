"""What an agent does to its device when nodes of its mesh change: writes and reads, not time."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256
from random import Random
from typing import NamedTuple

from benchmarks.findings import Finding, at_most, at_most_times
from benchmarks.measures import Bench, Measure
from ikto_backends.fake import FakeHost
from ikto_core.device.backend import BackendPlugin
from ikto_core.embedding import config_of, running_agent
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.keys import PrivateKey, PublicKey

IFNAME = "wg0"
PATIENCE_S = 60.0
SETTLE_S = 20.0


class _Change(NamedTuple):
    """What happens to a node. In either case the peer has a session, before and after."""

    name: str
    what: str
    new_key: bool  # and a new endpoint in either case


CHANGES = (
    _Change("replaced", "nodes are replaced (another key and endpoint)", new_key=True),
    _Change("endpoints", "nodes change their endpoint", new_key=False),
)


async def _measure(bench: Bench) -> Sequence[Finding]:
    """Have a tenth of the nodes change within a minute, of two meshes at once."""
    with running_server(bench.directory / "nats") as server:
        found = await asyncio.gather(*(_minute(server, bench, change) for change in CHANGES))
    return [finding for each in found for finding in each]


async def _minute(server: NatsServer, bench: Bench, change: _Change) -> Sequence[Finding]:
    peers, changed, within_s = bench.pick(2000, 200), bench.pick(200, 20), bench.pick(60, 6)
    host, bucket = FakeHost(), change.name
    config = config_of(
        name="agent",
        private_address="fd10:ffff::1",
        advertise_address="192.0.2.2",
        nats_url=server.url,
        nats_kv=bucket,
        state_dir=str(bench.directory / bucket),
        removal_limit=100,
    )
    backend = BackendPlugin(name="fake", summary="", open=host.open, host_devices=False)
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        await create_bucket(Bucket(session, bucket), MeshSettings("fd10::/16", 48), replicas=1, memory=False)
        keys = [await _put(session, bucket, number, "first", "192.0.2.1") for number in range(peers)]
        async with running_agent(config, private_key=PrivateKey.generate(), backend=backend):
            await _heard(host, keys)
            await _settled(host)
            host.writes.clear()
            host.calls.clear()
            for number in range(changed):
                machine = "second" if change.new_key else "first"
                key = await _put(session, bucket, number, machine, "198.51.100.1")
                await _heard(host, [key])
                await asyncio.sleep(within_s / changed)
    return _findings(host, f"{change.name}/{changed}-of-{peers}", f"{changed} of {peers:,} {change.what}", changed)


def _findings(host: FakeHost, name: str, what: str, changed: int) -> Sequence[Finding]:
    return [
        Finding(
            name=f"{name}/writes",
            what=f"{what}: writes of the device",
            unit="count",
            ikto=len(host.writes),
            reference=changed,
            beside="changes",
            target=at_most_times(1),
        ),
        Finding(
            name=f"{name}/reads",
            what=f"{what}: reads of the whole device; one a minute finds changes from outside",
            unit="count",
            ikto=host.calls["read"],
            target=at_most(1),
        ),
    ]


async def _put(session: Session, bucket: str, number: int, machine: str, address: str) -> PublicKey:
    """Put the record of a node, and return its key."""
    key = PrivateKey(sha256(f"{number} {machine}".encode()).digest()).clamped().public()
    record = PeerRecord(
        name=f"node-{number}",
        public_key=key,
        advertise_address=address,
        allowed_ip=f"fd10:{number + 1:x}::/48",
        wg_port=51820,
    )
    await session.client.publish(f"$KV.{bucket}.{record.key}", encode_record(record))
    return key


async def _heard(host: FakeHost, keys: Sequence[PublicKey]) -> None:
    """Wait until the device has these peers, and let each have a session."""
    async with asyncio.timeout(PATIENCE_S):
        while not ((state := host.device(IFNAME)) and state.peers.keys() >= set(keys)):
            await asyncio.sleep(0.005)
    for key in keys:
        host.handshake(IFNAME, key, time.time())


async def _settled(host: FakeHost) -> None:
    """Wait until the agent has seen the sessions of a new device, or does not look any more."""
    before = -1
    with suppress(TimeoutError):
        async with asyncio.timeout(SETTLE_S):
            while before != (before := sum(host.calls.values())):
                await asyncio.sleep(3)


MEASURES = (Measure("changed-nodes", "passes", _measure),)
