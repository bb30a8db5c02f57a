"""Removing records whose lease ran out, for agents and for `ikto bucket sweep`."""

from collections.abc import Sequence

import structlog

from ikto_core.errors import RevisionConflictError
from ikto_core.lease.policy import WATCHED_SHARE, Fate, Leased, Watch
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import RecordStore

log = structlog.get_logger(__name__)


class LeaseReaper:
    """Looks at leased records again and again, over one connection, and removes those that expired.

    Args:
        records: The mesh's bucket.
        renewals: The bucket of renewals.
        slack_s: A look that comes later than this after it was due is the first again.
        share: Of a lease, that must have been watched without a renewal.

    """

    def __init__(
        self, records: RecordStore, renewals: RecordStore, slack_s: float, share: float = WATCHED_SHARE
    ) -> None:
        self._records = records
        self._renewals = renewals
        self._watch = Watch(slack_s, share)
        self._written: Entry | None = None  # our own latest write among the renewals

    def forget(self) -> None:
        """Watch anew: there was an interruption."""
        self._watch.forget()

    async def write(self, key: str, value: bytes) -> None:
        """Write a key of our own among the renewals; raises NatsError.

        It shows that NATS takes writes; and when it was stored is what the clock of NATS shows, which leases run by.
        """
        before = await self._renewals.get(key)
        if before != self._written:
            self._watch.forget()  # not as we left it: older than that, perhaps, as everything else there
        await self._renewals.put(key, value, expected=before.revision if before else 0)
        self._written = await self._renewals.get(key)

    async def look(self, found: Sequence[Leased], now_s: float, due_s: float, *, enough: int = 0) -> list[Leased]:
        """Remove those of these records that expired, and return them; it ends after `enough` that live (0: never).

        To be called right after `write`; the times are as in `Watch.begin`. Raises NatsError; NatsDeniedError if
        records of others are not ours to remove.
        """
        removed: list[Leased] = []
        nats_time = self._written.time if self._written else ""
        self._watch.begin(now_s, due_s, {record.key for record in found})
        for record in found:
            fate = self._watch.judge(record, await self._renewals.get(record.key), nats_time, now_s)
            if fate is Fate.EXPIRED and await self._remove(record):
                removed.append(record)
            enough -= fate is Fate.ALIVE
            if fate is Fate.ALIVE and enough == 0:
                break
        return removed

    async def _remove(self, record: Leased) -> bool:
        """Delete a record as it was seen; return False if it is another by now."""
        try:
            await self._records.put(record.key, None, expected=record.revision)
        except RevisionConflictError:
            return False
        log.warning("record removed: its lease ran out", key=record.key, lease_s=record.lease_s)
        return True
