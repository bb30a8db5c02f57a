"""A bucket in memory that keeps its promises, and breaks the ones NATS breaks when it is told to."""

from collections.abc import Callable
from enum import Enum
from itertools import count

import msgspec

from ikto_core.errors import NatsError, RevisionConflictError, WriteUnknownError
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import BucketInfo, Message, Page

_clock = count(1)
"""Server time, for all buckets of the process: no two messages were ever stored at the same moment."""


class Delivery(Enum):
    """What becomes of a write's push."""

    PROMPT = "prompt"
    DROPPED = "dropped"
    LATE = "late"  # kept back until `release`
    TWICE = "twice"


class Faults(msgspec.Struct):
    """What goes wrong; every field may be changed at any time."""

    delivery: Delivery = Delivery.PROMPT
    fail_reads: int = 0  # the next so many reads raise NatsError
    lags: list[int] = []  # the replicas that answer the next pages lack the last so many messages
    lose_answers: int = 0  # the next so many writes happen, but raise WriteUnknownError
    lose_writes: int = 0  # the next so many writes don't happen, and raise WriteUnknownError


class MemoryBucket:
    """One stream of a KV bucket with history 1: the leader, its replicas, and who is subscribed.

    Implements BucketReader and RecordStore. `interrupt`, if set, is called before each read is answered, and again
    while a page is under way: tests use it to let the world move on in the middle of a walk.
    """

    def __init__(self, *, page_size: int = 256) -> None:
        self.faults = Faults()
        self.interrupt: Callable[[], None] = lambda: None
        self.page_size = page_size
        self.clock: Callable[[], str] = lambda: f"t{next(_clock)}"  # when a write is stored
        self._subscribers: list[Callable[[Message], None]] = []
        self._held_back: list[Message] = []
        self._begin()

    def _begin(self) -> None:
        self._created = f"t{next(_clock)}"
        self._messages: dict[int, Message] = {}  # by ascending revision; the latest of each key
        self.last_revision = 0

    # -- what clients see ------------------------------------------------------------------------------------------

    def subscribe(self, callback: Callable[[Message], None]) -> None:
        """Have every later write pushed to `callback`."""
        self._subscribers.append(callback)

    async def info(self) -> BucketInfo:
        """Answer as the leader."""
        self._read()
        first = next(iter(self._messages.values()), None)
        return BucketInfo(
            created=self._created,
            first_revision=first.revision if first else self.last_revision + 1,
            first_time=first.time if first else "",
            last_revision=self.last_revision,
            subjects=len(self._messages),
        )

    async def page(self, start: int) -> Page:
        """Answer as a replica that may lag."""
        self._read()
        visible = self.last_revision - (self.faults.lags.pop(0) if self.faults.lags else 0)
        messages = [message for revision, message in self._messages.items() if start <= revision <= visible]
        page = Page(tuple(messages[: self.page_size]), len(messages) <= self.page_size)
        self.interrupt()  # what happens while the answer is under way is not in it
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
        """Write if the key's revision is `expected`."""
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

    # -- what the world does ---------------------------------------------------------------------------------------

    def write(self, key: str, value: bytes | None) -> int:
        """Store a message, whatever stood under the key before; None stores a deletion marker."""
        latest = self._latest(key)
        if latest:
            del self._messages[latest.revision]
        self.last_revision += 1
        message = Message(key, self.last_revision, value, self.clock())
        self._messages[message.revision] = message
        self._push(message)
        return message.revision

    def purge(self, key: str) -> None:
        """Take a key's messages away without a marker, as a purge of the stream does."""
        latest = self._latest(key)
        if latest:
            del self._messages[latest.revision]

    def recreate(self) -> None:
        """Delete the stream and make it anew."""
        self._begin()

    def lose_memory(self) -> None:
        """Restart a server whose store was in memory: the same stream, empty, counting from 1."""
        created = self._created
        self._begin()
        self._created = created

    def backup(self) -> Callable[[], None]:
        """Return a function that puts the stream back to what it is now."""
        created, messages, last = self._created, dict(self._messages), self.last_revision

        def restore() -> None:
            self._created, self._messages, self.last_revision = created, dict(messages), last

        return restore

    def release(self) -> None:
        """Deliver the pushes that were held back."""
        held, self._held_back = self._held_back, []
        for message in held:
            self._deliver(message)

    @property
    def live(self) -> dict[str, bytes]:
        """The truth: what the bucket holds, without deletion markers."""
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
                self._held_back.append(message)
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
