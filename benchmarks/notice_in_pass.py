"""How late an agent notices records while it reads and compares its whole device again and again.

The agent has a process of its own. The reference is a bare subscriber in another, which sees the same writes.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from multiprocessing.connection import Connection
from random import Random

from benchmarks.findings import Finding, at_most_times
from benchmarks.measures import Bench, Measure
from benchmarks.mesh_records import filled_bucket, record
from benchmarks.passes import WG, ThreadedBackend
from benchmarks.samples import Pair, p99
from ikto_backends.fake import FakeHost
from ikto_core.device.model import DeviceSpec
from ikto_core.device.reconciler import Reconciler
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.view import Entry, MeshRules, MeshView
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PrivateKey

Party = Callable[[str, int, Connection], Coroutine[None, None, None]]

NAME = "in-pass"
PATIENCE_S = 120.0


async def _measure(bench: Bench) -> Sequence[Finding]:
    peers, writes = bench.pick(10_000, 1_000), bench.pick(400, 100)
    with running_server(bench.directory) as server:
        settings = NatsSettings(servers=(server.url,))
        async with open_session(settings, Random()) as writer:
            bucket = await filled_bucket(writer, NAME, peers)
            parties = [_Party(target, server.url, peers + writes) for target in (_follow_in_passes, _subscribe)]
            for party in parties:
                await party.ready()
            written_at = []
            for number in range(peers + 1, peers + 1 + writes):
                one = record(number)
                written_at.append(time.time())
                await bucket.put(one.key, encode_record(one), expected=0)
                await asyncio.sleep(0.02)
            seen_at = [await party.times(writes) for party in parties]
    pair = Pair(*([at - began for at, began in zip(times, written_at, strict=True)] for times in seen_at))
    return [
        pair.finding(
            f"notice-in-pass/p99/{peers}",
            f"a new record is noticed during whole passes over {peers:,} peers, p99",
            beside="bare subscriber",
            statistic=p99,
            target=at_most_times(3),
        ),
        pair.finding(
            f"notice-in-pass/median/{peers}",
            f"a new record is noticed during whole passes over {peers:,} peers, median",
            beside="bare subscriber",
        ),
    ]


class _Party:
    """A process that says when it is ready, and then when it had each write."""

    def __init__(self, target: Party, url: str, enough: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(target, url, enough, theirs), daemon=True)
        self._process.start()
        theirs.close()

    async def ready(self) -> None:
        """Wait until it follows the bucket."""
        await self._receive()

    async def times(self, writes: int) -> Sequence[float]:
        """Return when it had each of the latest writes, by time.time()."""
        times: Sequence[float] = await self._receive()
        self._process.join()
        return times[-writes:]

    async def _receive(self) -> Sequence[float]:
        if not await asyncio.to_thread(self._pipe.poll, PATIENCE_S):
            raise TimeoutError("a party did not answer in time")
        received: Sequence[float] = self._pipe.recv()
        return received


def _run(target: Party, url: str, enough: int, pipe: Connection) -> None:
    asyncio.run(target(url, enough, pipe))


async def _subscribe(url: str, enough: int, pipe: Connection) -> None:
    """Note when each push comes."""
    times: list[float] = []
    async with open_session(NatsSettings(servers=(url,)), Random()) as session:
        bucket = Bucket(session, NAME)
        known = (await bucket.info()).subjects - 1  # one key has the settings
        await session.subscribe(bucket.push_subject, lambda _: times.append(time.time()))
        pipe.send([])
        while known + len(times) < enough:
            await asyncio.sleep(0.05)
    pipe.send(times)


async def _follow_in_passes(url: str, enough: int, pipe: Connection) -> None:
    """Follow the bucket, and make one whole pass after the other; note when the view has each record."""
    times: list[float] = []
    own_key = PrivateKey.generate()
    view = MeshView(MeshRules(cidr=Prefix.parse("fd10::/16"), subnet_prefix=56, own_key=own_key.public()))
    reconciler = Reconciler(ThreadedBackend(FakeHost()), WG)

    def changed(changes: Mapping[str, Entry]) -> None:
        touched = view.update(changes)
        times.append(time.time())
        reconciler.mark_changed(touched, follower.revision)

    follower = Follower(changed, Random())
    async with open_session(NatsSettings(servers=(url,)), Random()) as session:
        bucket = Bucket(session, NAME)
        await session.subscribe(bucket.push_subject, lambda message: follower.receive(bucket.push(message)))
        await follower.resync(bucket)
        base = DeviceSpec(private_key=own_key, listen_port=51820, addresses=frozenset(), peers={})
        reconciler.set_target(base, view.on_device, follower.revision)
        await reconciler.reconcile()
        pipe.send([])
        while len(view.peers) < enough:
            reconciler.request_full_pass()
            await reconciler.reconcile()
    pipe.send(times)


MEASURES = (Measure("notice-in-pass", "passes", _measure),)
