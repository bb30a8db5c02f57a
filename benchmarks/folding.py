"""What folding the bucket into the mesh costs an agent: its first sync, and one more record beside many.

    python -m benchmarks.folding 10000 50000

Each first sync runs beside nats-py's `kv.watch` of the same bucket, on the same nats-server and in the same run.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec

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
from ikto_core.mesh.records import PeerRecord, encode_record, record_key
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.interfaces import BucketInfo, Message, Page
from ikto_core.store.session import NatsSettings, Session
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey, PublicKey

MESH = MeshSettings("fd10::/16", 56)
ADDRESS = "fd10:ffff::1"
ROUNDS = 3
ONE_RECORD_RUNS = 200


class Cost(msgspec.Struct, frozen=True):
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


def records(count: int, *, since: int = 1) -> Iterator[tuple[str, bytes]]:
    """Yield the KV keys and values of the records of `count` peers, the first of which has the number `since`."""
    for number in range(since, since + count):
        allowed_ip = str(Prefix.parse(f"fd10:{number >> 8:x}:{(number & 255) << 8:x}::/56"))
        record = PeerRecord(
            name=f"node-{number}",
            public_key=PublicKey(number.to_bytes(32, "big")),
            advertise_address=f"192.0.{number >> 8 & 255}.{number & 255}",
            allowed_ip=allowed_ip,
            wg_port=51820,
            instance=f"{number:016x}",
            nonce=f"{number:032x}",
            agent="ikto 0.4",
            address=f"{allowed_ip.removesuffix('/56')}1",
        )
        yield record_key(allowed_ip), encode_record(record)


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


async def watched(session: Session, bucket: str, keys: int) -> Cost:
    """Return what nats-py's `kv.watch` takes to hand over all keys of a bucket."""
    kv = await session.client.jetstream().key_value(bucket)
    clock, seen = Clock(), 0
    watcher = await kv.watch("peers.*")
    while await watcher.updates(timeout=60) is not None:  # type: ignore[no-untyped-call]  # nats-py's
        seen += 1
    cost = clock.cost()
    await watcher.stop()  # type: ignore[no-untyped-call]  # as above
    if seen < keys:
        sys.stderr.write(f"kv.watch handed over {seen} of {keys} keys\n")
    return cost


class Rounds(msgspec.Struct, frozen=True):
    """The costs of an agent and of `kv.watch`, measured in turns."""

    agent: list[Cost] = []
    watch: list[Cost] = []


async def first_sync(server: NatsServer, keys: int, *, rounds: int = ROUNDS) -> Rounds:
    """Measure an agent's first sync of a new bucket with so many peers, and `kv.watch` of the same bucket."""
    name, measured = f"sync{keys}", Rounds()
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        bucket = Bucket(session, name)
        await create_bucket(bucket, MESH, replicas=1, memory=True)
        for number, (key, value) in enumerate(records(keys)):
            await session.client.publish(f"$KV.{name}.{key}", value)
            if number % 1000 == 0:
                await session.client.flush()
        await session.client.flush()
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory:
                async with agent_parts(Path(directory), name) as parts:
                    measured.agent.append(await synced(parts, bucket))
                    assert len(parts.desired_state.view.peers) == keys
                    await parts.controller.withdraw_records(bucket)
            measured.watch.append(await watched(session, name, keys))
    return measured


class _OnePage:
    """A bucket in memory with the records of some peers; a `BucketReader`."""

    def __init__(self, peers: int) -> None:
        self._messages = tuple(Message(key, number, value) for number, (key, value) in enumerate(records(peers), 1))

    async def info(self) -> BucketInfo:
        """Return the state of the bucket."""
        count = len(self._messages)
        return BucketInfo(
            created="t",
            first_revision=1,
            first_time="t",
            last_revision=count,
            last_time="t",
            messages=count,
            subjects=count,
        )

    async def page(self, start: int) -> Page:
        """Return all messages from revision `start` on."""
        return Page(self._messages[start - 1 :], complete=True)

    async def first_from(self, start: int) -> Message | None:
        """Return the first message from revision `start` on."""
        return next(iter(self._messages[start - 1 :]), None)


async def one_record(peers: int) -> float:
    """Return the least processor time, in seconds, from the push of one new record to its patch, beside `peers` others.

    The device is in memory.
    """
    with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory:
        async with agent_parts(Path(directory), "one-record") as parts:
            controller = parts.controller
            await controller.follower.resync(_OnePage(peers))
            parts.desired_state.from_bucket(controller.follower.table, peers, ADDRESS)
            await parts.reconciler.reconcile()
            parts.reconciler.set_bucket_followed(followed=True)
            await parts.reconciler.reconcile()
            least_s = float("inf")
            for revision, (key, value) in enumerate(records(ONE_RECORD_RUNS, since=peers + 1), peers + 1):
                clock = Clock()
                controller.follower.receive(Message(key, revision, value))
                await parts.reconciler.reconcile()
                least_s = min(least_s, clock.cost().processor_s)
            assert len(parts.desired_state.view.peers) == peers + ONE_RECORD_RUNS
    return least_s


def main() -> None:
    """Measure the sizes given as arguments, and print the least cost of each."""
    sizes = [int(size) for size in sys.argv[1:]] or [10_000]
    with tempfile.TemporaryDirectory(prefix="ikto-bench-") as directory, running_server(Path(directory)) as server:
        for keys in sizes:
            measured = asyncio.run(first_sync(server, keys))
            _show(f"first sync of {keys:,} records, the agent", measured.agent)
            _show(f"first sync of {keys:,} records, kv.watch", measured.watch)
    for peers in [10, *sizes]:
        processor_s = asyncio.run(one_record(peers))
        sys.stdout.write(f"one record beside {peers:,}: {processor_s * 1000:.3f} ms of the processor\n")


def _show(what: str, costs: list[Cost]) -> None:
    wall_s, processor_s = min(cost.wall_s for cost in costs), min(cost.processor_s for cost in costs)
    sys.stdout.write(f"{what}: {wall_s:.3f} s, {processor_s:.3f} s of the processor\n")


if __name__ == "__main__":
    main()
