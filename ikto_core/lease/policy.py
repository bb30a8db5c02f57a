"""Leases: whose record may be removed, decided on what was seen of it. Pure; `reaper` and `lease_renewer` act.

A node with a lease says so in its record, and renews it by writing its run's `instance` under its record's key in a
bucket of renewals, which nobody follows. Its record goes only if all of this holds (docs/decisions/0012-leases.md):

- the run that wrote the record has renewed it at least once;
- by the clock of NATS, its last renewal is a lease ago;
- whoever removes it has watched for half a lease, without interruption, and it was not renewed meanwhile.

Whoever lives and has its way to NATS renews within 0.3 of a lease, and within a minute after an outage: so neither the
length of an outage nor a clock that jumps makes it look dead.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from enum import Enum

import msgspec

from ikto_core.mesh.records import PEER_KEYS, RecordError, decode_record
from ikto_core.mesh.view import Entry

WATCHERS = 3
"""Each living node watches its successors in the order of keys, up to so many that live: so many watch over each."""

WATCHED_SHARE = 0.5
"""Of a lease, that must have been watched without a renewal."""

_MEMBER = b'"lease"'


class Leased(msgspec.Struct, frozen=True):
    """A record that lasts only while its node renews it."""

    key: str
    revision: int
    instance: str  # the run that wrote it, and must renew it
    lease_s: int


class Fate(Enum):
    """What is to be thought of a leased record."""

    UNBOUND = "never renewed by the run that wrote it: it stays"
    ALIVE = "renewed within its lease"
    LAPSED = "not renewed within its lease, but not watched for long enough"
    EXPIRED = "to be removed"


def leased_records(table: Mapping[str, Entry]) -> list[Leased]:
    """Return the bucket's records that have a lease, by key."""
    return sorted((found for key, entry in table.items() if (found := _leased(key, entry))), key=lambda r: r.key)


def _leased(key: str, entry: Entry) -> Leased | None:
    if entry.value is None or not key.startswith(PEER_KEYS) or _MEMBER not in entry.value:
        return None
    try:
        record = decode_record(key, entry.value)
    except RecordError:
        return None
    return Leased(key, entry.revision, record.instance, record.lease) if record.lease > 0 and record.instance else None


def successors(key: str, leased: Iterable[Leased]) -> list[Leased]:
    """Return the records after `key` in the order of keys, which goes round; not its own."""
    others = sorted((record for record in leased if record.key != key), key=lambda record: record.key)
    return [r for r in others if r.key > key] + [r for r in others if r.key < key]


def renewal_pause_s(lease_s: float, chance: float) -> float:
    """Return how long to wait from one renewal to the next, in seconds: 0.2 to 0.3 of the lease; `chance` is 0 to 1."""
    return lease_s * (0.2 + 0.1 * chance)


class _Sight(msgspec.Struct, frozen=True):
    """A record and its last renewal, and since when both have been as they are."""

    record: Leased
    renewal: Entry | None
    since_s: float


class Watch:
    """What was seen of leased records, look by look, as long as nothing interrupted.

    Args:
        slack_s: A look that comes later than this after it was due makes all before it void: we, and perhaps the server
            with us, stood still.
        share: Of a lease, that must have been watched without a renewal.

    """

    def __init__(self, slack_s: float, share: float = WATCHED_SHARE) -> None:
        self._slack_s = slack_s
        self._share = share
        self._seen: dict[str, _Sight] = {}

    def forget(self) -> None:
        """Begin anew: there was an interruption, or what was seen belongs to another history."""
        self._seen.clear()

    def begin(self, now_s: float, due_s: float, keys: Collection[str]) -> None:
        """Begin a look at some of these records. Both times are seconds of one clock that only goes forward."""
        if now_s > due_s + self._slack_s:
            self.forget()
        self._seen = {key: sight for key, sight in self._seen.items() if key in keys}

    def judge(self, record: Leased, renewal: Entry | None, nats_time: str, now_s: float) -> Fate:
        """Decide about a record, as the leader has it and its renewal at this moment.

        Args:
            record: The record.
            renewal: What stands under its key among the renewals.
            nats_time: What the clock of NATS shows, as text: when a write of this moment was stored.
            now_s: Seconds of our own clock, as in `begin`.

        """
        sight = self._seen.get(record.key)
        if sight is None or (sight.record, sight.renewal) != (record, renewal):
            sight = self._seen[record.key] = _Sight(record, renewal, now_s)
        age_s = _age_s(renewal, nats_time) if renewal and renewal.value == record.instance.encode() else None
        if age_s is None:
            return Fate.UNBOUND
        if age_s <= record.lease_s:
            return Fate.ALIVE
        watched = now_s - sight.since_s >= record.lease_s * self._share
        return Fate.EXPIRED if watched else Fate.LAPSED


def _age_s(renewal: Entry, nats_time: str) -> float | None:
    """Return how old a renewal is in seconds, by NATS' own clock (RFC 3339); None if that can't be told."""
    try:
        return (datetime.fromisoformat(nats_time) - datetime.fromisoformat(renewal.time)).total_seconds()
    except (ValueError, TypeError):
        return None
