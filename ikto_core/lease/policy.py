"""Leases: decides which leased records may be removed, from what was observed. Pure; `reaper` and `renewer` do the I/O.

The record of a node with a lease contains it. The node renews it by writing the `instance` of its run under its
record's key in the renewals bucket, which nobody follows. A record is removed only if all of this holds
(docs/decisions/0012-leases.md):

- the run that wrote the record has renewed it at least once;
- by the clock of NATS, the last renewal is older than the lease;
- the node that removes it has watched for half a lease without interruption and saw no renewal.

A node that is alive and connected to NATS renews within 0.3 of its lease, and within a minute after an outage. So
neither a long outage nor a clock that jumps makes it look dead.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import Enum

import msgspec

from ikto_core.mesh.records import PEER_KEYS, readable_record
from ikto_core.mesh.view import Entry

WATCHERS = 3
"""Each node watches the records that follow its own key, up to this many live ones: so this many watch each record."""

WATCHED_SHARE = 0.5
"""Share of a lease that must be watched without seeing a renewal before the record is removed."""

_LEASE_FIELD = b'"lease"'


class LeasedRecord(msgspec.Struct, frozen=True):
    """A record that stays only while its node renews it."""

    key: str
    revision: int
    instance: str  # the run that wrote it and must renew it
    lease_s: int


class LeaseStatus(Enum):
    """What is known about a leased record."""

    NEVER_RENEWED = "never renewed by the run that wrote it: it stays"
    ALIVE = "renewed within its lease"
    SUSPECT = "not renewed within its lease, but not watched for long enough"
    EXPIRED = "to be removed"


def leased_records(table: Mapping[str, Entry]) -> list[LeasedRecord]:
    """Return the bucket's records that have a lease, sorted by key."""
    return sorted((found for key, entry in table.items() if (found := _leased(key, entry))), key=lambda r: r.key)


def _leased(key: str, entry: Entry) -> LeasedRecord | None:
    if entry.value is None or not key.startswith(PEER_KEYS) or _LEASE_FIELD not in entry.value:
        return None
    record = readable_record(key, entry.value)
    if record is None or record.lease <= 0 or not record.instance:
        return None
    return LeasedRecord(key, entry.revision, record.instance, record.lease)


def successors(key: str, leased: Iterable[LeasedRecord]) -> list[LeasedRecord]:
    """Return the records that follow `key` in key order, wrapping around; the record of `key` itself is left out."""
    others = sorted((record for record in leased if record.key != key), key=lambda record: record.key)
    return [r for r in others if r.key > key] + [r for r in others if r.key < key]


def renewal_pause_s(lease_s: float, chance: float) -> float:
    """Return the pause between two renewals, in seconds: 0.2 to 0.3 of the lease. `chance` is 0 to 1."""
    return lease_s * (0.2 + 0.1 * chance)


class _Observation(msgspec.Struct, frozen=True):
    """A record and its last renewal, and since when neither has changed."""

    record: LeasedRecord
    renewal: Entry | None
    since_s: float


class Watch:
    """Observes leased records over several rounds and decides which have expired.

    Args:
        slack_s: A round that starts later than this after it was due discards all observations: this node, and perhaps
            the server with it, was suspended.
        share: Share of a lease that must be watched without seeing a renewal.

    """

    def __init__(self, slack_s: float, share: float = WATCHED_SHARE) -> None:
        self._slack_s = slack_s
        self._share = share
        self._observed: dict[str, _Observation] = {}

    def reset(self) -> None:
        """Discard all observations: watching was interrupted, or they belong to another history of the bucket."""
        self._observed.clear()

    def begin_round(self, now_s: float, due_s: float, keys: Collection[str]) -> None:
        """Begin a round over the records with these keys. Both times are seconds of one monotonic clock."""
        if now_s > due_s + self._slack_s:
            self.reset()
        self._observed = {key: seen for key, seen in self._observed.items() if key in keys}

    def observe(self, record: LeasedRecord, renewal: Entry | None, nats_time: str, now_s: float) -> LeaseStatus:
        """Note a record and its renewal as the leader has them now, and return the record's status.

        Args:
            record: The record.
            renewal: The entry under the record's key in the renewals bucket.
            nats_time: The present time by the clock of NATS (RFC 3339): when a write made just now was stored.
            now_s: Seconds of the local clock, as in `begin_round`.

        """
        seen = self._observed.get(record.key)
        if seen is None or (seen.record, seen.renewal) != (record, renewal):
            seen = self._observed[record.key] = _Observation(record, renewal, now_s)
        age_s = _age_s(renewal, nats_time) if renewal and renewal.value == record.instance.encode() else None
        if age_s is None:
            return LeaseStatus.NEVER_RENEWED
        if age_s <= record.lease_s:
            return LeaseStatus.ALIVE
        watched = now_s - seen.since_s >= record.lease_s * self._share
        return LeaseStatus.EXPIRED if watched else LeaseStatus.SUSPECT


def _age_s(renewal: Entry, nats_time: str) -> float | None:
    """Return the age of a renewal in seconds, by the clock of NATS (RFC 3339); None if a time can't be parsed."""
    try:
        return (datetime.fromisoformat(nats_time) - datetime.fromisoformat(renewal.time)).total_seconds()
    except (ValueError, TypeError):
        return None
