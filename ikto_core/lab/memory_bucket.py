"""An in-memory bucket for tests. It fulfils the contract of a bucket, and can reproduce the faults of NATS."""

from collections.abc import Callable
from enum import Enum
from itertools import count

import msgspec

from ikto_core.errors import NatsDeniedError, NatsError, RevisionConflictError, WriteUnknownError
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import BucketInfo, Message, Page

_clock = count(1)
"""Server time, shared by all buckets of the process: no two messages have the same timestamp."""


class Delivery(Enum):
    """What happens to the push of a write."""

    PROMPT = "prompt"
    DROPPED = "dropped"
    LATE = "late"  # delayed until `release`
    TWICE = "twice"


class Faults(msgspec.Struct):
    """The faults to inject; every field may be changed at any time."""

    delivery: Delivery = Delivery.PROMPT
    fail_reads: int = 0  # this many of the next reads raise NatsError
    lags: list[int] = []  # per page read next: how many of the latest messages its replica lacks
    lose_answers: int = 0  # this many of the next writes are stored, but raise WriteUnknownError
    lose_writes: int = 0  # this many of the next writes are not stored, and raise WriteUnknownError
    deny: frozenset[str] = frozenset()  # KV keys that may not be written: NatsDeniedError


class MemoryBucket:
    """One stream of a KV bucket with history 1: the leader, its replicas and the subscribers.

    Implements BucketReader and RecordStore. `interrupt` is called before each read is answered, and again after a page
    is read: tests use it to write to the bucket in the middle of a walk.
    """

    def __init__(self, *, page_size: int = 256) -> None:
        self.faults = Faults()
        self.interrupt: Callable[[], None] = lambda: None
        self.page_size = page_size
        self.tells_last_time = True  # whether the leader knows when the last message was stored
        self.infos = 0  # how often the leader was asked for its state
        self.pages = 0  # how many pages were read
        self.messages_read = 0  # in pages
        self.clock: Callable[[], str] = lambda: f"t{next(_clock)}"  # the timestamp of the next write
        self._subscribers: list[Callable[[Message], None]] = []
        self._delayed: list[Message] = []
        self._begin()

    def _begin(self) -> None:
        self._created = f"t{next(_clock)}"
        self._messages: dict[int, Message] = {}  # the latest message of each key, in ascending order of revision
        self.last_revision = 0
        self._last_time = ""  # when the last message was stored, even if it was removed again

    # -- reads and writes of clients ---------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Message], None]) -> None:
        """Push every later write to `callback`."""
        self._subscribers.append(callback)

    async def info(self) -> BucketInfo:
        """Answer as the leader."""
        self._read()
        self.infos += 1
        first = next(iter(self._messages.values()), None)
        return BucketInfo(
            created=self._created,
            first_revision=first.revision if first else self.last_revision + 1,
            first_time=first.time if first else "",
            last_revision=self.last_revision,
            last_time=self._last_time if self.tells_last_time else "",
            messages=len(self._messages),
            subjects=len(self._messages),
        )

    async def page(self, start: int) -> Page:
        """Answer as a replica that lags by the next of `faults.lags`."""
        self._read()
        visible = self.last_revision - (self.faults.lags.pop(0) if self.faults.lags else 0)
        messages = [message for revision, message in self._messages.items() if start <= revision <= visible]
        page = Page(tuple(messages[: self.page_size]), len(messages) <= self.page_size)
        self.pages += 1
        self.messages_read += len(page.messages)
        self.interrupt()  # later writes are not in the page
        return page

    async def first_from(self, start: int) -> Message | None:
        """Answer as the leader."""
        self._read()
        return next((message for revision, message in self._messages.items() if revision >= start), None)

    async def get(self, key: str) -> Entry | None:
        """Answer as the leader."""
        self._read()
        message = self._latest(key)
        return message.entry if message else None

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        """Write a value (None: a deletion marker) if the key's revision is `expected`; 0: it has no message."""
        if key in self.faults.deny:
            raise NatsDeniedError(f"{key} may not be written")
        if self.faults.lose_writes:
            self.faults.lose_writes -= 1
            raise WriteUnknownError("the write was lost")
        latest = self._latest(key)
        if (latest.revision if latest else 0) != expected:
            raise RevisionConflictError(f"{key} is not at revision {expected}")
        revision = self.write(key, value)
        if self.faults.lose_answers:
            self.faults.lose_answers -= 1
            raise WriteUnknownError("the answer was lost")
        return revision

    # -- changes by others -------------------------------------------------------------------------------------------

    def write(self, key: str, value: bytes | None) -> int:
        """Store a message whatever the key's revision is; None stores a deletion marker. Returns the revision."""
        latest = self._latest(key)
        if latest:
            del self._messages[latest.revision]
        self.last_revision += 1
        message = Message(key, self.last_revision, value, self.clock())
        self._last_time = message.time
        self._messages[message.revision] = message
        self._push(message)
        return message.revision

    def purge(self, key: str) -> None:
        """Remove a key's messages without a deletion marker, as a purge of the stream does."""
        latest = self._latest(key)
        if latest:
            del self._messages[latest.revision]

    def recreate(self) -> None:
        """Delete the stream and create it again."""
        self._begin()

    def lose_memory(self) -> None:
        """Restart a server with an in-memory store: the stream keeps its creation time, is empty, and counts from 1."""
        created = self._created
        self._begin()
        self._created = created

    def backup(self) -> Callable[[], None]:
        """Return a function that restores the stream to its present state."""
        created, messages, last, last_time = self._created, dict(self._messages), self.last_revision, self._last_time

        def restore() -> None:
            self._created, self._messages = created, dict(messages)
            self.last_revision, self._last_time = last, last_time

        return restore

    def release(self) -> None:
        """Deliver the delayed pushes."""
        delayed, self._delayed = self._delayed, []
        for message in delayed:
            self._deliver(message)

    @property
    def live(self) -> dict[str, bytes]:
        """The bucket's contents at the leader, without deletion markers."""
        return {m.key: m.value for m in self._messages.values() if m.value is not None}

    def _latest(self, key: str) -> Message | None:
        return next((message for message in self._messages.values() if message.key == key), None)

    def _push(self, message: Message) -> None:
        match self.faults.delivery:
            case Delivery.PROMPT:
                self._deliver(message)
            case Delivery.TWICE:
                self._deliver(message)
                self._deliver(message)
            case Delivery.LATE:
                self._delayed.append(message)
            case Delivery.DROPPED:
                pass

    def _deliver(self, message: Message) -> None:
        for callback in self._subscribers:
            callback(message)

    def _read(self) -> None:
        self.interrupt()
        if self.faults.fail_reads:
            self.faults.fail_reads -= 1
            raise NatsError("no answer")
