"""The course of a fleet: from a cold start to a moved leader."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import msgspec

from benchmarks.fleet.guests import Guest, guests, join, leave
from benchmarks.fleet.node import Place
from benchmarks.fleet.phase import Meter, Phase, Running, notice
from benchmarks.fleet.servers import Servers, running_servers
from benchmarks.fleet.watching import GONE
from benchmarks.fleet.workers import Workers, running_workers
from ikto_core.errors import IktoError, RevisionConflictError
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings

BUCKET = "fleet"
CHURNED, MORE = 10_000, 12_000  # added to the numbers of guests, so that none comes twice
AT_ONCE = 1000.0  # a second


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is run."""

    kind: str  # a member of worker.KINDS
    nodes: int
    servers: int = 1
    processes: int = 4
    puts: int = 20  # single ones, two a second
    puts_per_s: float = 7.0
    rate_s: float = 15.0
    idle_s: float = 20.0
    left_out: tuple[str, ...] = ()  # phases
    sampled: tuple[str, ...] = ()  # phases of which the processes sample what takes processor time

    @property
    def timeout_s(self) -> float:
        """The limit of each wait: a fleet on one host takes a time that grows with the square of its nodes."""
        return 180.0 + 0.001 * self.nodes**2


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What one fleet measured."""

    setting: Setting
    phases: Sequence[Phase]
    samples: dict[str, Sequence[str]] = {}  # reports by phase


async def run_fleet(setting: Setting, directory: Path) -> Run:
    """Run one fleet against servers of its own. Raises RuntimeError if a node fails, or a wait takes too long."""
    with running_servers(directory / "servers", setting.servers) as servers:
        await servers.create_bucket(BUCKET)
        place = Place(servers.urls, BUCKET, str(directory))
        numbers = range(1, setting.nodes + 1)
        async with running_workers(setting.kind, numbers, place, setting.processes) as workers:
            course = Course(setting, servers, workers)
            await course.run()
            return Run(setting=setting, phases=course.phases, samples=course.samples)


class Course:
    """The phases of one fleet, in their order."""

    def __init__(self, setting: Setting, servers: Servers, workers: Workers) -> None:
        self._setting = setting
        self._servers = servers
        self._workers = workers
        self._meter = Meter(servers, workers)
        self._guests: list[Guest] = []  # that are in the bucket
        self.samples: dict[str, Sequence[str]] = {}

    @property
    def phases(self) -> Sequence[Phase]:
        """What was measured."""
        return self._meter.phases

    async def run(self) -> None:
        """Run the phases that are asked for and make sense."""
        setting = self._setting
        steps: Mapping[str, Callable[[], Awaitable[None]]] = {
            "cold": self._cold,
            "idle": self._idle,
            "one put": lambda: self._join("one put", setting.puts, per_s=2.0),
            "rate": lambda: self._join("rate", int(setting.puts_per_s * setting.rate_s), per_s=setting.puts_per_s),
            "churn": self._churn,
            "warm": self._warm,
            "restart": self._restart,
            "leader moved": self._move_leader,
        }
        for name, step in steps.items():
            if name not in setting.left_out and name not in self._senseless():
                await step()
        await self._workers.stop()

    def _senseless(self) -> Iterator[str]:
        """Yield the phases that this fleet can't have: a bare subscriber keeps nothing, and loses what it misses."""
        if self._setting.kind == "subscribers":
            yield from ("warm", "restart")
        if self._setting.servers == 1:
            yield "leader moved"

    @asynccontextmanager
    async def _phase(self, name: str) -> AsyncIterator[Running]:
        sys.stderr.write(f"  {name}\n")
        sampled = name in self._setting.sampled
        async with self._meter.phase(name) as running:
            if sampled:
                await self._workers.sample(on=True)
            yield running
            if sampled:
                self.samples[name] = await self._workers.sample(on=False)

    async def _cold(self) -> None:
        """Start all nodes on an empty bucket, until each has a peer for each of the others."""
        async with self._phase("cold") as running:
            await self._workers.start()
            if self._setting.kind != "subscribers":
                await self._workers.until_all_have(self._others, self._setting.timeout_s)
            await self._until_current()
            running.ended = time.monotonic()

    async def _idle(self) -> None:
        async with self._phase("idle"):
            await asyncio.sleep(self._setting.idle_s)

    async def _join(self, name: str, count: int, *, per_s: float) -> None:
        joining = guests(len(self._guests), count, BUCKET)
        self._guests += joining
        async with self._phase(name) as running, self._bucket() as bucket:
            await self._workers.take()
            await join(bucket, joining, per_s=per_s)
            await self._until_all_saw(joining)
            running.notice = notice(await self._workers.take(), joining)

    async def _churn(self) -> None:
        """Have one of a hundred leave and as many join, at once."""
        count = max(self._setting.nodes // 100, 1)
        leaving, self._guests[:count] = self._guests[:count], []
        joining = guests(CHURNED, count, BUCKET)
        self._guests += joining
        async with self._phase("churn") as running, self._bucket() as bucket:
            await self._workers.take()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(leave(bucket, leaving))
                tasks.create_task(join(bucket, joining, per_s=AT_ONCE))
            await self._until_all_saw(joining, leaving)
            running.notice = notice(await self._workers.take(), joining, leaving)

    async def _warm(self) -> None:
        """Stop all nodes, and start them again with what they have kept."""
        await self._workers.stop()
        async with self._phase("warm") as running:
            await self._workers.start()
            await self._workers.until_all_have(self._others + len(self._guests), self._setting.timeout_s)
            await self._until_current()
            running.ended = time.monotonic()

    async def _restart(self) -> None:
        """Restart a server; then write a record until that succeeds, and wait until all nodes have seen it."""
        server = next(iter(self._servers.servers.values()))
        async with self._phase("restart") as running:
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            running.began = time.monotonic()
            await self._one_more(running)

    async def _move_leader(self) -> None:
        async with self._phase("leader moved") as running:
            async with self._bucket() as bucket:
                await bucket.call("STREAM.LEADER.STEPDOWN", {})
            await self._one_more(running)

    async def _one_more(self, running: Running) -> None:
        """Have a guest join as soon as the servers accept it, and wait until all nodes have it and are current."""
        (guest,) = joining = guests(MORE + len(self._guests), 1, BUCKET)
        self._guests += joining
        await self._workers.take()
        await self._put_at_last(guest)
        await self._until_all_saw(joining)
        running.notice = notice(await self._workers.take(), joining)
        await self._until_current()
        running.ended = time.monotonic()

    async def _put_at_last(self, guest: Guest) -> None:
        give_up_at = time.monotonic() + self._setting.timeout_s
        while True:
            try:
                async with self._bucket() as bucket:
                    guest.put_at = time.monotonic()
                    await self._put(bucket, guest)
                    return
            except IktoError:
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(0.1)

    async def _put(self, bucket: Bucket, guest: Guest) -> None:
        """Write a guest's record, unless an earlier attempt did."""
        try:
            guest.revision = await bucket.put(guest.key, guest.value, expected=0)
        except RevisionConflictError:
            entry = await bucket.get(guest.key)
            guest.revision = entry.revision if entry else 0

    async def _until_all_saw(self, joined: Sequence[Guest], left: Sequence[Guest] = ()) -> None:
        of_agents = self._setting.kind == "agents"
        joined_tokens = [guest.public_key if of_agents else guest.key for guest in joined]
        left_tokens = [GONE + (guest.public_key if of_agents else guest.key) for guest in left]
        await self._workers.until_all_saw([*joined_tokens, *left_tokens], self._setting.timeout_s)

    async def _until_current(self) -> None:
        """Wait until every agent shows the latest revision."""
        async with self._bucket() as bucket:
            revision = (await bucket.info()).last_revision
        await self._workers.until_all_current(revision, self._setting.timeout_s)

    @property
    def _others(self) -> int:
        """How many records of the fleet's own nodes a node has: an agent has no peer for its own."""
        return self._setting.nodes - (self._setting.kind == "agents")

    @asynccontextmanager
    async def _bucket(self) -> AsyncIterator[Bucket]:
        async with open_session(NatsSettings(servers=self._servers.urls), Random()) as session:
            yield Bucket(session, BUCKET)
