"""Removes records whose lease has expired, for agents and for `ikto bucket sweep`."""

from collections.abc import Sequence

import structlog

from ikto_core.errors import RevisionConflictError
from ikto_core.lease.policy import WATCHED_SHARE, LeasedRecord, LeaseStatus, Watch
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import RecordStore

log = structlog.get_logger(__name__)


class LeaseReaper:
    """Watches leased records over one connection and removes those that have expired.

    Args:
        records: The mesh's bucket.
        renewals: The renewals bucket.
        slack_s: A round that starts later than this after it was due starts watching from the beginning.
        share: Share of a lease that must be watched without seeing a renewal.

    """

    def __init__(
        self, records: RecordStore, renewals: RecordStore, slack_s: float, share: float = WATCHED_SHARE
    ) -> None:
        self._records = records
        self._renewals = renewals
        self._watch = Watch(slack_s, share)
        self._last_renewal: Entry | None = None  # this node's latest write in the renewals bucket

    def reset(self) -> None:
        """Start watching from the beginning: there was an interruption."""
        self._watch.reset()

    async def write_renewal(self, key: str, value: bytes) -> None:
        """Write this node's key in the renewals bucket. Raises NatsError.

        The write shows that NATS accepts writes. The time at which it was stored is the present time by the clock of
        NATS, and lease ages are measured with it.
        """
        before = await self._renewals.get(key)
        if before != self._last_renewal:
            self._watch.reset()  # not this node's last write: the bucket may have been restored from a backup
        await self._renewals.put(key, value, expected=before.revision if before else 0)
        self._last_renewal = await self._renewals.get(key)

    async def reap(
        self, found: Sequence[LeasedRecord], now_s: float, due_s: float, *, stop_after_alive: int = 0
    ) -> list[LeasedRecord]:
        """Remove the records among `found` that have expired, and return them. Call it right after `write_renewal`.

        Args:
            found: The records to check, in this order.
            now_s: Seconds of a monotonic clock.
            due_s: When this round was due, by the same clock.
            stop_after_alive: Stop after this many live records; 0: check them all.

        Raises:
            NatsDeniedError: This node has no permission to remove records of other nodes.
            NatsError: NATS did not answer, or refused.

        """
        removed: list[LeasedRecord] = []
        nats_time = self._last_renewal.time if self._last_renewal else ""
        self._watch.begin_round(now_s, due_s, {record.key for record in found})
        for record in found:
            status = self._watch.observe(record, await self._renewals.get(record.key), nats_time, now_s)
            if status is LeaseStatus.EXPIRED and await self._remove(record):
                removed.append(record)
            stop_after_alive -= status is LeaseStatus.ALIVE
            if status is LeaseStatus.ALIVE and stop_after_alive == 0:
                break
        return removed

    async def _remove(self, record: LeasedRecord) -> bool:
        """Delete a record at the revision that was watched; return False if it has changed since."""
        try:
            await self._records.put(record.key, None, expected=record.revision)
        except RevisionConflictError:
            return False
        log.warning("removed record with expired lease", key=record.key, lease_s=record.lease_s)
        return True
