"""Whatever happens to NATS and its clock, nobody who lives loses its record, and who died does."""

import asyncio
import math
from datetime import UTC, datetime
from enum import Enum
from random import Random
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.lease.reaper import LeaseReaper
from ikto_core.lease.renewer import SLACK, LeaseRenewer
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.store.follower import Follower
from tests.samples import record as sample

LEASE_S = 600
STEP_S = 10
RECONNECT_S = 60  # a dial comes at most half a minute after another
NODES = 5


class Nats(Enum):
    """How NATS is doing."""

    UP = "up"
    AWAY = "away"  # every connection is gone
    STUCK = "stuck"  # connections stand, nothing can be written
    FROZEN = "frozen"  # stands still, with all that runs on its machine; the others lose their connections


class Phase(NamedTuple):
    """What happens for a while."""

    nats: Nats
    steps: int
    clock_jump_s: int  # of the clock of NATS, as it begins
    restored: bool = False  # the renewals are those of some time ago, as it begins
    frozen: frozenset[int] = frozenset()  # who stands still with it
    clocks_stop: bool = False  # so do the clocks of those


class Node:
    """An agent, as far as leases go."""

    def __init__(self, world: "World", number: int) -> None:
        plain = sample(f"10.0.0.{16 * number}/28", name=f"node-{number}", instance=f"run-{number}")
        self.record: PeerRecord = replace(plain, lease=LEASE_S)
        self.stopped_s = 0  # by so much its clock is behind
        self.alive = True
        self._world = world
        follower = Follower(lambda _: None, world.random)
        follower.table = world.table
        follower.synced.set()
        self._snapshot_writer = LeaseRenewer(LEASE_S, lambda: self.record, follower, world.random)
        self._sweeper: LeaseReaper | None = None
        self._due_s = 0.0

    def cut_off(self) -> None:
        self._sweeper = None
        self._due_s = self._world.now_s + self._world.random.uniform(0, RECONNECT_S)

    async def step(self) -> None:
        """Do what is due."""
        now_s = self._world.now_s - self.stopped_s
        if self._sweeper is None:
            if self._world.now_s < self._due_s:
                return
            self._sweeper = LeaseReaper(self._world.records, self._world.renewals, LEASE_S * SLACK)
            self._due_s = now_s
        if now_s >= self._due_s:
            self._due_s = now_s + await self._snapshot_writer.turn(self._sweeper, now_s, self._due_s)


class World:
    """A mesh, and what befalls it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now_s = 0.0
        self.clock_s = 0.0  # by so much the clock of NATS is ahead
        self.table: dict[str, Entry] = {}
        self.records, self.renewals = MemoryBucket(), MemoryBucket()
        self.records.subscribe(lambda message: self.table.update({message.key: message.entry}))
        self.renewals.clock = lambda: datetime.fromtimestamp(10**9 + self.now_s + self.clock_s, UTC).isoformat()
        self.backup = self.renewals.backup()
        self.nodes = [Node(self, number) for number in range(NODES)]
        for node in self.nodes:
            self.records.write(node.record.key, encode_record(node.record))

    async def live_through(self, phase: Phase) -> None:
        if phase.restored:
            self.backup()
        self.backup = self.renewals.backup()
        self.clock_s += phase.clock_jump_s
        self.renewals.faults.lose_writes = 10**9 if phase.nats is Nats.STUCK else 0
        for _ in range(phase.steps):
            self.now_s += STEP_S
            for number, node in enumerate(self.nodes):
                await self._step(phase, number, node)
            self.assert_the_living_stand()

    async def _step(self, phase: Phase, number: int, node: Node) -> None:
        if phase.nats is Nats.FROZEN and number in phase.frozen:
            node.stopped_s += STEP_S if phase.clocks_stop else 0
        elif phase.nats in {Nats.AWAY, Nats.FROZEN}:
            node.cut_off()
        elif node.alive:
            await node.step()

    def stands(self, node: Node) -> bool:
        return node.record.key in self.records.live

    def assert_the_living_stand(self) -> None:
        assert [node.record.name for node in self.nodes if node.alive and not self.stands(node)] == []


phases = st.builds(
    Phase,
    st.sampled_from(Nats),
    st.integers(1, 5 * LEASE_S // STEP_S),
    st.sampled_from((0, 0, 1, 20)).map(lambda leases: leases * LEASE_S),
    st.sampled_from((False, False, False, True)),
    st.frozensets(st.integers(0, NODES - 1)),
    st.booleans(),
)
QUIET = Phase(Nats.UP, 3 * LEASE_S // STEP_S, 0)


@settings(max_examples=100)
@given(st.lists(phases, max_size=8), st.integers(0, 99), st.sets(st.integers(0, NODES - 1), max_size=NODES - 1))
def test_who_lives_keeps_its_record_and_who_died_does_not(befalls: list[Phase], seed: int, dead: set[int]) -> None:
    async def live() -> None:
        world = World(Random(seed))
        await world.live_through(QUIET)
        world.backup = world.renewals.backup()  # what was never renewed stays
        for number in dead:
            world.nodes[number].alive = False
        for phase in befalls:
            await world.live_through(phase)
        await world.live_through(QUIET)
        assert {number for number, node in enumerate(world.nodes) if not world.stands(node)} == dead

    asyncio.run(live())


@given(st.integers(0, 99))
def test_a_record_goes_when_its_lease_is_over_and_soon_after(seed: int) -> None:
    async def live() -> None:
        world = World(Random(seed))
        await world.live_through(QUIET)
        world.nodes[0].alive = False
        died_s, gone_s = world.now_s, math.inf
        while gone_s == math.inf:
            await world.live_through(Phase(Nats.UP, 1, 0))
            gone_s = math.inf if world.stands(world.nodes[0]) else world.now_s
        assert 0.7 * LEASE_S <= gone_s - died_s <= 1.3 * LEASE_S + STEP_S

    asyncio.run(live())
