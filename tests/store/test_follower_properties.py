"""Whatever happens to the bucket, the reads and the pushes, the table ends up equal to the bucket."""

import asyncio
from collections.abc import Mapping
from random import Random

from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ikto_core.errors import NatsError
from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.mesh.view import Entry
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import Message
from ikto_core.values.position import Position
from tests.effort import max_examples

KEYS = st.sampled_from(["peers.a", "peers.b", "mesh"])
VALUES = st.one_of(st.none(), st.binary(min_size=1, max_size=1))
WRITES = st.lists(st.tuples(KEYS, VALUES, st.sampled_from(Delivery)), max_size=5)
Writes = list[tuple[str, bytes | None, Delivery]]


class FollowerMachine(RuleBasedStateMachine):
    """A bucket, a network and a follower; each rule is a step of one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.bucket = MemoryBucket(page_size=1)
        self.follower = Follower(self._on_change, Random(0))
        self.saved: tuple[dict[str, Entry], Position] | None = None  # what a snapshot on disk has
        self.bucket.subscribe(self._receive)
        self.shown: dict[str, bytes] = {}
        self.unnoticed = False  # the stream was rolled back, and only the next pushes can show it

    def _receive(self, push: Message) -> None:
        self.follower.receive(push)  # of the present run

    def _on_change(self, changes: Mapping[str, Entry]) -> None:
        for key, entry in changes.items():
            if entry.value is None:
                self.shown.pop(key, None)
            else:
                self.shown[key] = entry.value

    def _write(self, writes: Writes) -> None:
        for key, value, delivery in writes:
            self.bucket.faults.delivery = Delivery.PROMPT if self.unnoticed else delivery
            self.bucket.write(key, value)

    def _resync(self) -> None:
        """Resync once. Without writes meanwhile, a table at the bucket's last revision must equal the bucket.

        (A purge leaves no revision: after a write during the resync, only the next resync can detect it.)
        """
        before = self.bucket.last_revision
        try:
            asyncio.run(self.follower.resync(self.bucket))
        except NatsError as error:
            note(f"resync: {error}")
        else:
            self.unnoticed = False
            if self.follower.revision == self.bucket.last_revision == before:
                self._assert_equal()

    def _assert_equal(self) -> None:
        assert {k: e.value for k, e in self.follower.table.items() if e.value is not None} == self.bucket.live

    def _settle(self) -> None:
        """Deliver all pushes and let reads succeed: a few resyncs must suffice."""
        self.bucket.release()
        for _ in range(4):
            self._resync()
        self._assert_equal()
        assert self.follower.revision == self.follower.bucket_revision

    @initialize(writes=WRITES, synced=st.booleans())
    def begin(self, writes: Writes, synced: bool) -> None:
        self._write(writes)
        if synced:
            self._settle()

    @rule(writes=WRITES)
    def write(self, writes: Writes) -> None:
        self._write(writes)

    @rule(key=KEYS)
    def purge(self, key: str) -> None:
        self.bucket.purge(key)

    @rule(writes=WRITES)
    def recreate(self, writes: Writes) -> None:
        self.bucket.recreate()
        self._write(writes)

    @rule(writes=WRITES)
    def lose_memory(self, writes: Writes) -> None:
        """A server with a store in memory restarts: all its connections are closed."""
        self.bucket.lose_memory()
        self.follower.disconnected()
        self._write(writes)

    @rule(before=WRITES, after=WRITES, noticed=st.booleans())
    def roll_back(self, before: Writes, after: Writes, noticed: bool) -> None:
        """Restore an older backup: a connected follower sees the connection close, or else the writes after it.

        (A follower that sees neither has missed a push too; only the periodic full walk would detect the rollback.)
        """
        restore = self.bucket.backup()
        self._write(before)
        self._resync()
        restore()
        if noticed:
            self.follower.disconnected()
        self.unnoticed = not noticed
        self._write(after)

    @rule()
    def reconnect(self) -> None:
        self.follower.disconnected()

    @rule()
    def save(self) -> None:
        """Save the table as it is now, for a later restart; the bucket may be at any later state then."""
        if position := self.follower.position:
            self.saved = dict(self.follower.table), position

    @rule()
    def restart(self) -> None:
        """Begin with what was saved last. Nothing is known to be shown then."""
        self.follower, self.shown = Follower(self._on_change, Random(0)), {}
        if self.saved:
            self.follower.restore(*self.saved)

    @rule(told=st.booleans())
    def tell_last_time(self, told: bool) -> None:
        """Have the leader tell from now on, or no longer, when the last message was stored."""
        self.bucket.tells_last_time = told

    @rule()
    def deliver_late(self) -> None:
        self.bucket.release()

    @rule(failing=st.integers(0, 3), lags=st.lists(st.integers(0, 4), max_size=6), during=WRITES)
    def resync(self, failing: int, lags: list[int], during: Writes) -> None:
        """Resync while reads fail, the replica of each page lags, and others write between the answers."""
        self.bucket.faults.fail_reads, self.bucket.faults.lags = failing, lags
        pending = [[step] for step in during]
        self.bucket.interrupt = lambda: self._write(pending.pop(0) if pending else [])
        self._resync()
        self.bucket.faults.fail_reads, self.bucket.faults.lags = 0, []
        self.bucket.interrupt = lambda: None

    @rule()
    def rest(self) -> None:
        self._settle()

    @invariant()
    def all_changes_were_reported(self) -> None:
        """The reported changes add up to the table; that of an earlier run is reported once it was checked."""
        if not self.follower.synced.is_set() and self.shown == {}:
            return
        assert self.shown == {k: e.value for k, e in self.follower.table.items() if e.value is not None}

    def teardown(self) -> None:
        self._settle()


TestFollower = FollowerMachine.TestCase
TestFollower.settings = settings(max_examples=max_examples(300), stateful_step_count=15, deadline=None)
