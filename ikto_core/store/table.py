"""A follower's copy of a bucket, and what proves or contradicts that the bucket still has the same history. Pure.

A revision and the time when it was stored name a message: no other history has both. A message of the table that the
bucket still has therefore proves that all before it is the same, but for what was removed without a trace.
"""

from collections.abc import Iterable, Mapping
from heapq import nlargest

from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import BucketInfo, Message
from ikto_core.values.position import Position

OVERLAPS = (1, 10, 100)
"""How many of the latest known messages are read again to find one that still exists; more, if there was none."""


class BucketTable:
    """The entries of a bucket as of one revision."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}  # by key, deletion markers included
        self.revision = 0
        self.info: BucketInfo | None = None  # the leader's state that it continues; None: not known yet
        self.explained_surplus = 0  # of keys that the leader does not count: two walks in a row found as many
        self.last: Message | None = None  # the latest message; it must still exist or be superseded
        self._surplus = 0  # keys that the last walk of the whole bucket found, less those that the leader counted
        self._equal_at: BucketInfo | None = None  # the leader's state when the table was equal to the bucket

    def restore(self, entries: Mapping[str, Entry], position: Position) -> None:
        """Begin with what an earlier run knew."""
        self.entries, self.revision = dict(entries), position.revision
        self.last = last_message(self.entries)
        self._surplus = self.explained_surplus = position.explained_surplus
        self.info = BucketInfo(
            created=position.created,
            first_revision=position.first_revision,
            first_time=position.first_time,
            last_revision=position.revision,
            last_time="",
            messages=len(entries),
            subjects=len(entries),
        )

    def position(self, audited: int) -> Position | None:
        """Return what `restore` needs beside the entries; None: the bucket has not been read."""
        info = self.info
        if info is None:
            return None
        return Position(
            created=info.created,
            first_revision=info.first_revision,
            first_time=info.first_time,
            revision=self.revision,
            explained_surplus=self.explained_surplus,
            audited=audited,
        )

    def apply(self, messages: Iterable[Message]) -> dict[str, Entry]:
        """Advance by messages that follow the revision, in ascending order; return the changed entries by key."""
        changes: dict[str, Entry] = {}
        for message in messages:
            changes[message.key] = self.entries[message.key] = message.entry
            self.revision, self.last = message.revision, message
        return changes

    def replace(self, found: Mapping[str, Message], revision: int) -> dict[str, Entry]:
        """Become what a completed walk has found; return the changes, with missing keys as deleted."""
        before = self.entries
        self.entries = {key: message.entry for key, message in found.items()}
        self.revision, self.last = revision, last_message(self.entries)
        changes = {key: entry for key, entry in self.entries.items() if before.get(key) != entry}
        return changes | {key: Entry(revision, None) for key in before.keys() - self.entries.keys()}

    # -- proofs ------------------------------------------------------------------------------------------------------

    def is_unknown(self, message: Message) -> bool:
        """Return whether there is no entry like this message and no later one of its key."""
        known = self.entries.get(message.key)
        if known is None or known.revision < message.revision:
            return True
        return known.revision == message.revision and known != message.entry

    def contradicts(self, found: Iterable[Message]) -> bool:
        """Return whether a message at or below the revision is unknown."""
        return any(message.revision <= self.revision and self.is_unknown(message) for message in found)

    def latest(self, count: int) -> dict[str, int]:
        """Return the revisions of the latest messages by key."""
        if count == 1:
            return {self.last.key: self.last.revision} if self.last else {}
        entries = self.entries
        return {key: entries[key].revision for key in nlargest(count, entries, key=lambda key: entries[key].revision)}

    def is_equal(self, info: BucketInfo) -> bool:
        """Return whether the leader's state alone proves that the table is equal to the bucket.

        Either it is the same as when that was known, or the leader's last message is the table's last one, each key has
        one message, and the leader counts as many keys: if one of them had been removed, there would be fewer.
        """
        if self.revision != info.last_revision or not info.last_time:
            return False
        if info == self._equal_at:
            return True
        same_end = self.last and (self.last.revision, self.last.time) == (info.last_revision, info.last_time)
        return bool(same_end) and info.messages == info.subjects and self._counts_as(info)

    def caught_up(self, info: BucketInfo) -> bool:
        """Note that all messages up to this state of the leader were applied; return whether it counts the same keys.

        A purge leaves no marker and no revision, only fewer keys.
        """
        self.info = info
        self.revision = max(self.revision, info.last_revision)
        if self.revision > info.last_revision:
            return True
        self._equal_at = info if self._counts_as(info) else None
        return self._equal_at is not None

    def read_as_a_whole(self, keys: int, info: BucketInfo, reached: int) -> None:
        """Note that a walk of the whole bucket found so many keys up to revision `reached`, and the leader's state."""
        surplus = keys - info.subjects if reached <= info.last_revision else 0
        self.explained_surplus = surplus if surplus == self._surplus else 0
        self.info, self._surplus, self._equal_at = info, surplus, None

    def _counts_as(self, info: BucketInfo) -> bool:
        return len(self.entries) - info.subjects == self.explained_surplus


def last_message(entries: Mapping[str, Entry]) -> Message | None:
    """Return the latest message of a table; None if it is empty."""
    key = max(entries, key=lambda key: entries[key].revision, default=None)
    if key is None:
        return None
    entry = entries[key]
    return Message(key, entry.revision, entry.value, entry.time, entry.unreadable)


def proves(known: Mapping[str, int], found: Mapping[str, Message]) -> bool:
    """Return whether one of the known messages (revision by key) was found again."""
    return any(key in found and found[key].revision == revision for key, revision in known.items())


def all_present(known: Mapping[str, int], found: Mapping[str, Message]) -> bool:
    """Return whether every known message (revision by key) still exists or was superseded by a later one."""
    return all(key in found and found[key].revision >= revision for key, revision in known.items())
