"""What folding the bucket into the mesh costs an agent: its first sync, and one more record beside many.

Each first sync runs beside nats-py's `kv.watch` of the same bucket, on the same nats-server. The device is in memory.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import NamedTuple

import msgspec
import nats

from benchmarks.findings import Finding, at_most, at_most_times
from benchmarks.kv_watch import watched_once
from benchmarks.measures import Bench, Measure
from benchmarks.mesh_records import MESH, filled_bucket, record, values
from benchmarks.samples import Pair
from benchmarks.side_by_side import own_processor_time
from ikto_backends.fake import FakeHost
from ikto_core.agent.from_config import backend_context
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.parts import AgentParts
from ikto_core.builtin.ipam import RandomStrategy
from ikto_core.config import Config
from ikto_core.device.backend import BackendPlugin
from ikto_core.device.bounded_backend import open_bounded
from ikto_core.ipam.contract import IpamPlugin
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import encode_record
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.interfaces import BucketInfo, Message, Page
from ikto_core.store.session import NatsSettings
from ikto_core.values.keys import PrivateKey

ADDRESS = "fd10:ffff::1"
ONE_RECORD_RUNS = 200
TAILSCALE_S = 0.00015
"""Tailscale's benchmark of a giant tailnet (Go): 0.11 to 0.15 ms for a peer added and removed at 10k to 250k nodes."""


class Cost(NamedTuple):
    """What something took, in seconds."""

    wall_s: float
    processor_s: float  # of this process


class Clock:
    """Measures from its creation on."""

    def __init__(self) -> None:
        self._wall_s, self._processor_s = time.perf_counter(), time.process_time()

    def cost(self) -> Cost:
        """Return what was taken since."""
        return Cost(time.perf_counter() - self._wall_s, time.process_time() - self._processor_s)


async def _first_syncs(bench: Bench) -> Sequence[Finding]:
    sizes = (1_000,) if bench.quick else (1_000, 10_000, 50_000)
    with running_server(bench.directory / "nats") as server:
        return [found for keys in sizes for found in await _first_sync(server, keys, bench.directory, bench.pick(4, 3))]


async def _first_sync(server: NatsServer, keys: int, directory: Path, rounds: int) -> Sequence[Finding]:
    """Measure an agent's first sync of a new bucket with so many peers, and `kv.watch` of the same bucket."""
    name, agent, watch = f"sync{keys}", list[Cost](), list[Cost]()
    client = await nats.connect(server.url)
    try:
        async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
            bucket = await filled_bucket(session, name, keys, memory=True)
            for number in range(rounds):
                async with agent_parts(directory / f"{name}-{number}", name) as parts:
                    agent.append(await synced(parts, bucket))
                    assert len(parts.desired_state.view.peers) == keys
                    await parts.controller.withdraw_records(bucket)
                clock = Clock()
                await watched_once(client, name, keys)
                watch.append(clock.cost())
    finally:
        await client.close()
    what, wanted = f"first sync of {keys:,} records to the device", at_most_times(1.5) if keys >= 10_000 else None
    pairs = [
        Pair(ours, theirs) for ours, theirs in zip(zip(*agent, strict=True), zip(*watch, strict=True), strict=True)
    ]
    return [
        pairs[0].finding(f"first-sync/{keys}", what, beside="kv.watch", statistic=min, target=wanted),
        pairs[1].finding(f"first-sync-processor/{keys}", f"{what}: processor time", beside="kv.watch", statistic=min),
    ]


async def _one_records(sizes: Sequence[int], bench: Bench) -> Sequence[Finding]:
    """Measure one more record beside many, and beside ten: it should not matter how many there are."""
    few = await _one_record(10, bench.directory)
    found = []
    for peers in (1_000,) if bench.quick else sizes:
        many = await _one_record(peers, bench.directory)
        what = f"one record beside {peers:,} peers, from push to patch: processor time"
        one = Pair(many, few).finding(f"one-record/{peers}", what, beside="beside ten", target=at_most_times(1.5))
        quoted = msgspec.structs.replace(
            one,
            name=f"one-record-beside-tailscale/{peers}",
            reference=TAILSCALE_S,
            beside="tailscale, one peer added and removed",
            quoted="2026-11",
            target=at_most(TAILSCALE_S),
        )
        found += [one, quoted]
    return found


async def _one_record(peers: int, directory: Path) -> Sequence[float]:
    """Return the processor time of each of some new records, in seconds, from its push to its patch."""
    async with agent_parts(directory / f"one-record-{peers}", "one-record") as parts:
        controller = parts.controller
        await controller.follower.resync(OnePage(peers))
        parts.desired_state.from_bucket(controller.follower.table, peers, ADDRESS)
        await parts.reconciler.reconcile()
        parts.reconciler.set_bucket_followed(followed=True)
        await parts.reconciler.reconcile()
        used_s = []
        for revision in range(peers + 1, peers + 1 + ONE_RECORD_RUNS):
            one = record(revision)
            message = Message(one.key, revision, encode_record(one))

            async def noticed(message: Message = message) -> None:
                controller.follower.receive(message)
                await parts.reconciler.reconcile()

            used_s.append(await own_processor_time(noticed)())
        assert len(parts.desired_state.view.peers) == peers + ONE_RECORD_RUNS
    return used_s


class OnePage:
    """A bucket with the records of many peers that is read in one page. A BucketReader."""

    def __init__(self, peers: int) -> None:
        self._messages = tuple(
            Message(key, revision, value, f"t{revision}") for revision, (key, value) in enumerate(values(peers), 1)
        )

    async def info(self) -> BucketInfo:
        """Return the state of the bucket."""
        first, last = self._messages[0], self._messages[-1]
        return BucketInfo(
            created="t0",
            first_revision=first.revision,
            first_time=first.time,
            last_revision=last.revision,
            last_time=last.time,
            messages=len(self._messages),
            subjects=len(self._messages),
        )

    async def page(self, start: int) -> Page:
        """Return all messages from a revision on."""
        return Page(self._messages[start - 1 :], complete=True)

    async def first_from(self, start: int) -> Message | None:
        """Return the message with this revision."""
        return self._messages[start - 1] if start <= len(self._messages) else None


@asynccontextmanager
async def agent_parts(directory: Path, bucket: str) -> AsyncIterator[AgentParts]:
    """Yield the parts of an agent with a device in memory."""
    plugin = BackendPlugin(name="memory", summary="", open=lambda _: FakeHost().open(), host_devices=False)
    config = Config(
        name="new",
        private_address=ADDRESS,
        mesh_cidr=MESH.mesh_cidr,
        subnet_prefix=MESH.subnet_prefix,
        nats_kv=bucket,
        state_dir=str(directory),
    )
    options = AgentOptions(
        config=config,
        backend=plugin,
        ipam=IpamPlugin(name="random", summary="", make=RandomStrategy),
        random=Random(),
    )
    start = asyncio.get_running_loop().create_task
    async with open_bounded(plugin, backend_context(config), start) as backend:
        yield AgentParts(options, PrivateKey.generate(), backend)


async def synced(parts: AgentParts, bucket: Bucket) -> Cost:
    """Return what an agent takes from its first read of a bucket until its claim is made and its device complete."""
    clock, claimed = Clock(), asyncio.Event()
    parts.controller.advertise(("192.0.2.1",))
    await parts.controller.follower.resync(bucket)
    keeping = asyncio.ensure_future(parts.controller.keep(bucket, claimed.set))
    waiting = asyncio.ensure_future(claimed.wait())
    await asyncio.wait([keeping, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if keeping.done():
        keeping.result()
    await parts.reconciler.reconcile()
    cost = clock.cost()
    keeping.cancel()
    await asyncio.wait([keeping])
    return cost


MEASURES = (
    Measure("first-sync", "folding", _first_syncs),
    Measure("one-record", "folding", partial(_one_records, (10_000, 100_000))),
    Measure("one-record-giant", "folding", partial(_one_records, (250_000,)), quick=False),
)
