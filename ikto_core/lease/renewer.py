"""Renews the lease of this node's record, and removes expired records of the nodes that follow it in key order."""

import asyncio
import time
from collections.abc import Callable
from random import Random

import structlog

from ikto_core.errors import NatsDeniedError, NatsError
from ikto_core.lease.policy import WATCHERS, leased_records, renewal_pause_s, successors
from ikto_core.lease.reaper import LeaseReaper
from ikto_core.mesh.records import PeerRecord
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import RecordStore
from ikto_core.values.counters import LeaseCounters

LONGEST_RETRY_S = 30.0
SLACK = 0.05
"""Share of the lease. A renewal that is later than this after it was due shows that this process was suspended."""

log = structlog.get_logger(__name__)


class LeaseRenewer:
    """Renews this node's lease, and removes records of nodes that are gone.

    Args:
        lease_s: This node's lease in seconds; 0: it has none, and `run` must not be called.
        self_record: Returns this node's record; None while it has none.
        follower: Supplies the records of the other nodes.
        random: Jitter.

    """

    def __init__(
        self, lease_s: int, self_record: Callable[[], PeerRecord | None], follower: Follower, random: Random
    ) -> None:
        self.lease_s = lease_s
        self.failure = ""  # why the last renewal failed; empty: it did not
        self.refusal = ""  # why expired records of others can't be removed; empty: no removal was denied
        self.renewed_at: float | None = None  # seconds since the epoch; None: not yet in this run
        self.stats = LeaseCounters()
        self.claimed = asyncio.Event()  # to be set once this node has a record
        self._self_record = self_record
        self._follower = follower
        self._random = random

    async def run(self, records: RecordStore, renewals: RecordStore) -> None:
        """Renew at once and then four times a lease, and check other records each time, until cancelled.

        A failure is logged once and retried. It ends nothing: the mesh works while the lease is not renewed.
        """
        reaper = LeaseReaper(records, renewals, self.lease_s * SLACK)
        self.refusal = ""
        await self.claimed.wait()
        due_s = time.monotonic()
        while True:
            pause_s = await self.run_once(reaper, time.monotonic(), due_s)
            due_s = time.monotonic() + pause_s
            await asyncio.sleep(pause_s)

    async def run_once(self, reaper: LeaseReaper, now_s: float, due_s: float) -> float:
        """Renew, and check other records; return the pause until the next time in seconds. Times as in `reap`."""
        failure, pause_s = "", renewal_pause_s(self.lease_s, self._random.random())
        try:
            renewed = await self._renew_and_reap(reaper, now_s, due_s)
        except NatsError as error:
            failure, renewed = str(error), False
            self.stats.failures += 1
            if failure != self.failure:
                log.warning("lease renewal failed", error=failure, hint=error.hint)
        self.failure = failure
        if not renewed:
            reaper.reset()
            pause_s = min(LONGEST_RETRY_S, pause_s)
        return pause_s

    async def _renew_and_reap(self, reaper: LeaseReaper, now_s: float, due_s: float) -> bool:
        """Renew this node's lease and remove expired records; return False if this node has no record now."""
        record = self._self_record()
        if record is None:
            return False
        await reaper.write_renewal(record.key, record.instance.encode())
        self.renewed_at, self.stats.renewals = time.time(), self.stats.renewals + 1
        if self._follower.synced.is_set() and not self.refusal:
            others = successors(record.key, leased_records(self._follower.table))
            try:
                removed = await reaper.reap(others, now_s, due_s, stop_after_alive=WATCHERS)
                self.stats.records_removed += len(removed)
            except NatsDeniedError as error:
                self.refusal = str(error)
                log.warning("not permitted to remove expired records", error=self.refusal)
        return True
