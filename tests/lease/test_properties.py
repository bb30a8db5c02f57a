"""Whatever happens to NATS and its clock, live nodes keep their records and those of dead nodes are removed."""

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
from tests.effort import max_examples
from tests.samples import record as sample

LEASE_S = 600
STEP_S = 10
RECONNECT_S = 60  # the longest pause between two dials is half a minute
NODES = 5


class Nats(Enum):
    """The state of NATS."""

    UP = "up"
    AWAY = "away"  # no connections
    STUCK = "stuck"  # connections work, but no write succeeds
    FROZEN = "frozen"  # suspended with its machine; nodes elsewhere lose their connections


class Phase(NamedTuple):
    """A state of NATS that lasts for some steps."""

    nats: Nats
    steps: int
    clock_jump_s: int  # of the clock of NATS, at the beginning
    restored: bool = False  # at the beginning the renewals bucket is restored from an older backup
    frozen: frozenset[int] = frozenset()  # the nodes that are suspended with NATS
    clocks_stop: bool = False  # the clocks of those nodes stop as well


class Node:
    """The part of an agent that deals with leases."""

    def __init__(self, world: "World", number: int) -> None:
        plain = sample(f"10.0.0.{16 * number}/28", name=f"node-{number}", instance=f"run-{number}")
        self.record: PeerRecord = replace(plain, lease=LEASE_S)
        self.stopped_s = 0  # how far its clock is behind
        self.alive = True
        self._world = world
        follower = Follower(lambda _: None, world.random)
        follower._known.entries = world.table
        follower.synced.set()
        self._renewer = LeaseRenewer(LEASE_S, lambda: self.record, follower, world.random)
        self._reaper: LeaseReaper | None = None
        self._due_s = 0.0

    def disconnect(self) -> None:
        self._reaper = None
        self._due_s = self._world.now_s + self._world.random.uniform(0, RECONNECT_S)

    async def step(self) -> None:
        """Connect or renew, whichever is due."""
        now_s = self._world.now_s - self.stopped_s
        if self._reaper is None:
            if self._world.now_s < self._due_s:
                return
            self._reaper = LeaseReaper(self._world.records, self._world.renewals, LEASE_S * SLACK)
            self._due_s = now_s
        if now_s >= self._due_s:
            self._due_s = now_s + await self._renewer.run_once(self._reaper, now_s, self._due_s)


class World:
    """A mesh of nodes with leases, on a bucket in memory."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now_s = 0.0
        self.clock_s = 0.0  # how far the clock of NATS is ahead
        self.table: dict[str, Entry] = {}
        self.records, self.renewals = MemoryBucket(), MemoryBucket()
        self.records.subscribe(lambda message: self.table.update({message.key: message.entry}))
        self.renewals.clock = lambda: datetime.fromtimestamp(10**9 + self.now_s + self.clock_s, UTC).isoformat()
        self.backup = self.renewals.backup()
        self.nodes = [Node(self, number) for number in range(NODES)]
        for node in self.nodes:
            self.records.write(node.record.key, encode_record(node.record))

    async def run_phase(self, phase: Phase) -> None:
        if phase.restored:
            self.backup()
        self.backup = self.renewals.backup()
        self.clock_s += phase.clock_jump_s
        self.renewals.faults.lose_writes = 10**9 if phase.nats is Nats.STUCK else 0
        for _ in range(phase.steps):
            self.now_s += STEP_S
            for number, node in enumerate(self.nodes):
                await self._step(phase, number, node)
            self.assert_live_nodes_have_records()

    async def _step(self, phase: Phase, number: int, node: Node) -> None:
        if phase.nats is Nats.FROZEN and number in phase.frozen:
            node.stopped_s += STEP_S if phase.clocks_stop else 0
        elif phase.nats in {Nats.AWAY, Nats.FROZEN}:
            node.disconnect()
        elif node.alive:
            await node.step()

    def has_record(self, node: Node) -> bool:
        return node.record.key in self.records.live

    def assert_live_nodes_have_records(self) -> None:
        assert [node.record.name for node in self.nodes if node.alive and not self.has_record(node)] == []


PHASES = st.builds(
    Phase,
    st.sampled_from(Nats),
    st.integers(1, 5 * LEASE_S // STEP_S),
    st.sampled_from((0, 0, 1, 20)).map(lambda leases: leases * LEASE_S),
    st.sampled_from((False, False, False, True)),
    st.frozensets(st.integers(0, NODES - 1)),
    st.booleans(),
)
QUIET = Phase(Nats.UP, 3 * LEASE_S // STEP_S, 0)


@settings(max_examples=max_examples(100))
@given(st.lists(PHASES, max_size=8), st.integers(0, 99), st.sets(st.integers(0, NODES - 1), max_size=NODES - 1))
def test_live_nodes_keep_their_records_and_dead_nodes_lose_them(phases: list[Phase], seed: int, dead: set[int]) -> None:
    async def scenario() -> None:
        world = World(Random(seed))
        await world.run_phase(QUIET)
        world.backup = world.renewals.backup()  # with a renewal of every node
        for number in dead:
            world.nodes[number].alive = False
        for phase in phases:
            await world.run_phase(phase)
        await world.run_phase(QUIET)
        assert {number for number, node in enumerate(world.nodes) if not world.has_record(node)} == dead

    asyncio.run(scenario())


@given(st.integers(0, 99))
def test_a_dead_nodes_record_is_removed_soon_after_its_lease(seed: int) -> None:
    async def scenario() -> None:
        world = World(Random(seed))
        await world.run_phase(QUIET)
        world.nodes[0].alive = False
        died_s, gone_s = world.now_s, math.inf
        while gone_s == math.inf:
            await world.run_phase(Phase(Nats.UP, 1, 0))
            gone_s = math.inf if world.has_record(world.nodes[0]) else world.now_s
        assert 0.7 * LEASE_S <= gone_s - died_s <= 1.3 * LEASE_S + STEP_S

    asyncio.run(scenario())
