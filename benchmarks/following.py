"""What following a bucket costs the server: idle checks, whole reads and audits."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

import nats
from nats.aio.client import Client

from benchmarks.findings import Finding, at_most
from benchmarks.kv_watch import watched_once
from benchmarks.measures import Bench, Measure
from benchmarks.mesh_records import filled_bucket
from benchmarks.samples import Pair
from benchmarks.side_by_side import own_processor_time, processor_time_of, side_by_side, written_bytes
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.store.audit import ROUND_S, round_s
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings

DAY_S = 86400
CHECKS = 20
"""How many checks are measured together: one takes less than other work of the server by chance."""


async def _idle_checks(bench: Bench) -> Sequence[Finding]:
    sizes = (1_000,) if bench.quick else (10_600, 50_000)
    with running_server(bench.directory) as server:
        return [await _idle_check(server, keys, bench.pick(9, 5)) for keys in sizes]


async def _idle_check(server: NatsServer, keys: int, rounds: int) -> Finding:
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        bucket = await filled_bucket(session, f"idle{keys}", keys)
        follower = Follower(lambda _: None, Random())
        await follower.resync(bucket)
        await follower.resync(bucket)  # after a first read a follower may look once more
        pair = await side_by_side(
            processor_time_of(server.pid, _many(lambda: follower.resync(bucket))),
            processor_time_of(server.pid, _many(bucket.info)),
            rounds=rounds,
        )
    return Pair([value / CHECKS for value in pair.ikto], [value / CHECKS for value in pair.reference]).finding(
        f"idle-check/{keys}",
        f"check while nothing is new, {keys:,} keys: server's processor time",
        beside="STREAM.INFO alone",
        statistic=min,
        target=at_most(0.0005),
    )


def _many(call: Callable[[], Awaitable[object]]) -> Callable[[], Awaitable[None]]:
    async def calls() -> None:
        for _ in range(CHECKS):
            await call()

    return calls


async def _walks(bench: Bench) -> Sequence[Finding]:
    sizes = (1_000,) if bench.quick else (10_000, 50_000)
    with running_server(bench.directory) as server:
        return [found for keys in sizes for found in await _walk(server, keys, bench.pick(4, 3))]


async def _walk(server: NatsServer, keys: int, rounds: int) -> Sequence[Finding]:
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        name = f"walk{keys}"
        bucket = await filled_bucket(session, name, keys)

        async def read() -> None:
            follower = Follower(lambda _: None, Random())
            await follower.resync(bucket)
            assert len(follower.table) >= keys

        async def watch() -> None:
            await watched_once(client, name, keys)

        async with _client(server) as client:
            at_server = await side_by_side(
                processor_time_of(server.pid, read), processor_time_of(server.pid, watch), rounds=rounds
            )
            at_reader = await side_by_side(own_processor_time(read), own_processor_time(watch), rounds=rounds)
    what = f"whole read of {keys:,} keys"
    return [
        at_server.finding(
            f"walk/{keys}",
            f"{what}: server's processor time",
            beside="kv.watch",
            statistic=min,
            target=at_most(0.4) if keys == 50_000 else None,
        ),
        at_reader.finding(f"walk-reader/{keys}", f"{what}: reader's processor time", beside="kv.watch", statistic=min),
    ]


async def _audits(bench: Bench) -> Sequence[Finding]:
    """Work out what the audits of a whole fleet read in a day, from the measured size of a record in a read."""
    keys = bench.pick(10_000, 1_000)
    with running_server(bench.directory) as server:
        async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
            bucket, before = await filled_bucket(session, "audited", keys), written_bytes(server.pid)
            await Follower(lambda _: None, Random()).resync(bucket)
            record_bytes = (written_bytes(server.pid) - before) / keys
    return [
        Finding(
            name=f"audit-day/{agents}",
            what=f"audits of {agents:,} agents, bytes from the servers in a day: worked out from the size of a record",
            unit="B",
            ikto=record_bytes * agents * agents * DAY_S / round_s(agents),
            reference=record_bytes * agents * agents * DAY_S / ROUND_S,
            beside="each agent every six hours",
        )
        for agents in (1_000, 10_000, 100_000)
    ]


@asynccontextmanager
async def _client(server: NatsServer) -> AsyncIterator[Client]:
    client = await nats.connect(server.url)
    try:
        yield client
    finally:
        await client.close()


MEASURES = (
    Measure("idle-check", "following", _idle_checks),
    Measure("walk", "following", _walks),
    Measure("audit", "following", _audits),
)
