"""The interfaces through which Ikto uses a bucket. They are small, so that a bucket in memory can replace NATS."""

from typing import Protocol

import msgspec

from ikto_core.mesh.view import Entry


class Message(msgspec.Struct, frozen=True, gc=False):
    """One write to the bucket, as stored in the stream."""

    key: str
    revision: int  # sequence in the stream
    value: bytes | None  # None: a deletion, a purge or an expiry
    time: str = ""  # when the server stored it; together with the revision it identifies a history
    unreadable: str = ""  # why its key can't be read, and `key` is a replacement; empty: it can

    @property
    def entry(self) -> Entry:
        """The entry of the key after this write."""
        return Entry(self.revision, self.value, self.time, self.unreadable)


class Page(msgspec.Struct, frozen=True):
    """One page of a walk through the bucket: messages by ascending revision."""

    messages: tuple[Message, ...]
    complete: bool  # True: the replica that answered has no messages after these


class BucketInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the bucket, as the stream's leader reports it."""

    created: str  # when the stream was created
    first_revision: int
    first_time: str
    last_revision: int
    last_time: str  # when the last message was stored; empty: unknown
    messages: int
    subjects: int  # keys with a message, deletion markers included

    def continues(self, earlier: "BucketInfo") -> bool:
        """Return whether this can be a later state of the same history as `earlier`.

        Within one history the first and last revision never go back. A recreated stream, a lost memory store and a
        restored backup show another creation time, a revision that went back, or another first message.
        """
        if self.last_revision < earlier.last_revision:
            return False
        if self.created != earlier.created or self.first_revision < earlier.first_revision:
            return False
        return self.first_revision > earlier.first_revision or self.first_time == earlier.first_time


class BucketReader(Protocol):
    """Reads a bucket. Every method raises NatsError if no answer comes or the request is refused."""

    async def info(self) -> BucketInfo:
        """Ask the leader for the state of the bucket."""
        ...

    async def page(self, start: int) -> Page:
        """Return the messages from revision `start` on. Any replica may answer, even one that lags."""
        ...

    async def first_from(self, start: int) -> Message | None:
        """Ask the leader for the first message from revision `start` on; None if there is none."""
        ...


class RecordStore(Protocol):
    """Reads and writes single keys at the leader."""

    async def get(self, key: str) -> Entry | None:
        """Return the entry of `key`; None if the key was never written.

        Raises NatsError if no answer comes.
        """
        ...

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        """Write `value` (None: delete) if the key's revision is `expected` (0: never written); return the new one.

        Raises RevisionConflictError if the key has another revision, WriteUnknownError if no answer comes.
        """
        ...
