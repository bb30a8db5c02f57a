"""What Ikto needs of a bucket, and no more: small enough that a store in memory can stand in for NATS."""

from typing import Protocol

import msgspec

from ikto_core.mesh.view import Entry


class Message(msgspec.Struct, frozen=True):
    """One write to the bucket, as the stream keeps it."""

    key: str
    revision: int  # sequence in the stream
    value: bytes | None  # None: a deletion, a purge or an expiry
    time: str = ""  # when the server stored it; with the revision, it tells one history from another

    @property
    def entry(self) -> Entry:
        """What the bucket holds under the key after this write."""
        return Entry(self.revision, self.value, self.time)


class Page(msgspec.Struct, frozen=True):
    """A run of a walk through the bucket: messages by ascending revision."""

    messages: tuple[Message, ...]
    complete: bool  # True: whoever answered has nothing after these


class BucketInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the stream's leader says of the bucket."""

    created: str  # when the stream was made
    first_revision: int
    first_time: str
    last_revision: int
    subjects: int  # keys with a message, deletion markers included

    def continues(self, earlier: "BucketInfo") -> bool:
        """Whether this can be the same history as `earlier`, later on.

        In one history the ends only move forward; a stream made anew, a memory store that was lost and an older backup
        show another creation time, an end that went back, or a first message that is not the one we knew.
        """
        if self.last_revision < earlier.last_revision:
            return False
        if self.created != earlier.created or self.first_revision < earlier.first_revision:
            return False
        return self.first_revision > earlier.first_revision or self.first_time == earlier.first_time


class BucketReader(Protocol):
    """Reading a bucket. Every method raises NatsError when the answer does not come or is a refusal."""

    async def info(self) -> BucketInfo:
        """Ask the leader what the bucket is and how far it goes."""
        ...

    async def page(self, start: int) -> Page:
        """Return the messages from revision `start` on; any replica may answer, even one that lags."""
        ...

    async def first_from(self, start: int) -> Message | None:
        """Ask the leader for the first message from revision `start` on; None if there is none."""
        ...


class RecordStore(Protocol):
    """Reading and writing single keys, at the leader."""

    async def get(self, key: str) -> Entry | None:
        """Return what the leader holds under `key`; None if the key was never written.

        Raises NatsError when the answer does not come.
        """
        ...

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        """Write `value` (None: delete) if the key's revision is `expected` (0: never written); return the new one.

        Raises RevisionConflictError if it is not, WriteUnknownError when the answer does not come.
        """
        ...
