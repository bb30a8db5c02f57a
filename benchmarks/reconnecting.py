"""What a server sends when all agents connect again at one moment."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from random import Random

from benchmarks.findings import Finding
from benchmarks.measures import Bench, Measure
from benchmarks.side_by_side import written_bytes
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.session import NatsSettings

CHANGED = 5


async def bytes_of_reconnects(server: NatsServer, agents: int, name: str = "reconnecting") -> Mapping[str, int]:
    """Return how many bytes the server writes while so many followers of as many records catch up, by what changed."""
    async with AsyncExitStack() as stack:
        settings = NatsSettings(servers=(server.url,))
        session = await stack.enter_async_context(open_session(settings, Random()))
        bucket = Bucket(session, name)
        await create_bucket(bucket, MeshSettings("fd10::/16", 48), replicas=1, memory=False)
        revisions = [await bucket.put(f"peers.{number}", bytes(250), expected=0) for number in range(agents)]
        followers: list[tuple[Follower, Bucket]] = []
        for _ in range(agents):
            own_session = await stack.enter_async_context(open_session(settings, Random()))
            followers.append((Follower(lambda _: None, Random()), Bucket(own_session, name)))
        await _resync(followers)
        found = {"nothing": await _reconnect(server, followers)}
        for number in range(CHANGED):
            revisions[number] = await bucket.put(f"peers.{number}", bytes(250), expected=revisions[number])
        found[f"{CHANGED} records"] = await _reconnect(server, followers)
        await bucket.put(f"peers.{CHANGED - 1}", bytes(250), expected=revisions[CHANGED - 1])
        found["the last record"] = await _reconnect(server, followers)
    return found


async def _reconnect(server: NatsServer, followers: Sequence[tuple[Follower, Bucket]]) -> int:
    before = written_bytes(server.pid)
    for follower, _ in followers:
        follower.disconnected()
    await _resync(followers)
    return written_bytes(server.pid) - before


async def _resync(followers: Sequence[tuple[Follower, Bucket]]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for follower, bucket in followers:
            tasks.create_task(follower.resync(bucket))


async def _measure(bench: Bench) -> Sequence[Finding]:
    agents = bench.pick(300, 30)
    with running_server(bench.directory) as server:
        written = await bytes_of_reconnects(server, agents)
    return [
        Finding(
            name=f"reconnect-bytes/{changed.replace(' ', '-')}/{agents}",
            what=f"{agents} agents reconnect at once, {changed} changed meanwhile: bytes from the server",
            unit="B",
            ikto=size,
        )
        for changed, size in written.items()
    ]


MEASURES = (Measure("reconnect", "following", _measure),)
