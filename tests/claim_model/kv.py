"""A linearizable KV bucket whose states are values: an explorer can return to one, and reach it in several ways."""

from functools import cache
from typing import NamedTuple

from ikto_core.mesh.records import PeerRecord, decode_record
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import BucketInfo, Message, Page
from ikto_core.values.keys import PublicKey
from tests.go_node import GoNode


class Get(NamedTuple):
    """A read by the leader."""

    key: str


class Put(NamedTuple):
    """A write, as it travels to the leader."""

    key: str
    value: bytes | None
    expected: int | None  # revision; None: any (only mutants do that)
    writer: PublicKey
    era: int  # of the bucket when the writer last read it
    owns: bool  # the leader has confirmed in this era that the writer has this key


class Kv:
    """One state of the bucket. Equal histories are the same object, so states are compared by identity.

    Implements BucketReader as of this state.
    """

    __slots__ = ("_next", "before", "era", "go", "latest", "revision")

    def __init__(self, before: "Kv | None" = None, era: int = 0, written: Message | None = None) -> None:
        self.before = before  # the state before the last write; None: never written
        self.era = era  # how often the bucket was rolled back
        self.latest: dict[str, Message] = dict(before.latest) if before else {}  # by key, deletion markers included
        self.revision: int = before.revision if before else 0
        self.go: GoNode = before.go if before else GoNode()  # what a node of 0.3.0 has that has seen every write
        self._next: dict[object, Kv] = {}
        if written:
            self.latest[written.key] = written
            self.revision = written.revision
            self.go = self.go.after(written)

    def written(self, key: str, value: bytes | None) -> "Kv":
        """Return the state after an unconditional write; `value` None is a deletion."""
        if (key, value) not in self._next:
            message = Message(key, self.revision + 1, value, f"{self.era}.{self.revision + 1}")
            self._next[key, value] = Kv(self, self.era, message)
        return self._next[key, value]

    def after(self, put: Put) -> "Kv | None":
        """Return the state after this write; None if the expected revision is not the present one."""
        return self.written(put.key, put.value) if put.expected in (None, self.revision_of(put.key)) else None

    def rolled_back(self, writes: int) -> "Kv":
        """Return the state after losing the latest writes; their revisions will be assigned again."""
        state = self
        for _ in range(writes):
            assert state.before
            state = state.before
        if self.era + 1 not in state._next:
            again = Kv(state.before, self.era + 1)
            again.latest, again.revision, again.go = state.latest, state.revision, self.go
            state._next[self.era + 1] = again
        return state._next[self.era + 1]

    def entry(self, key: str) -> Entry | None:
        """Return what the leader has under `key`."""
        message = self.latest.get(key)
        return message.entry if message else None

    def revision_of(self, key: str) -> int:
        message = self.latest.get(key)
        return message.revision if message else 0

    def records(self) -> dict[str, PeerRecord]:
        """Return the records in the bucket, by key, without those whose owner has left."""
        return {key: record for key, record in self.all_records().items() if not record.left}

    def all_records(self) -> dict[str, PeerRecord]:
        """Return the records in the bucket, by key, with those whose owner has left."""
        return {m.key: read(m.key, m.value) for m in self.latest.values() if m.value is not None}

    async def info(self) -> BucketInfo:
        first = min(self.latest.values(), key=lambda m: m.revision, default=None)
        return BucketInfo(
            created="once",
            first_revision=first.revision if first else self.revision + 1,
            first_time=first.time if first else "",
            last_revision=self.revision,
            last_time=max(self.latest.values(), key=lambda m: m.revision).time if self.latest else "",
            messages=len(self.latest),
            subjects=len(self.latest),
        )

    async def page(self, start: int) -> Page:
        found = sorted((m for m in self.latest.values() if m.revision >= start), key=lambda m: m.revision)
        return Page(tuple(found), complete=True)

    async def first_from(self, start: int) -> Message | None:
        return next(iter((await self.page(start)).messages), None)


@cache
def read(key: str, value: bytes) -> PeerRecord:
    """Decode a record; all records of the model are valid."""
    return decode_record(key, value)
