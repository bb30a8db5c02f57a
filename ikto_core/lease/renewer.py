"""Renews the lease of our own record, and watches over those of a few others."""

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
"""Of our lease: what comes later than this after it was due shows that we stood still."""

log = structlog.get_logger(__name__)


class LeaseRenewer:
    """Keeps our record from being removed, and removes records whose nodes are gone.

    Args:
        lease_s: Our lease; 0: we have none, and nothing is to run.
        own_record: Returns our record; None while we have none.
        follower: What shows the records of others.
        random: Jitter.

    """

    def __init__(
        self, lease_s: int, own_record: Callable[[], PeerRecord | None], follower: Follower, random: Random
    ) -> None:
        self.lease_s = lease_s
        self.failure = ""  # why our lease is not renewed; empty: it is, as far as we know
        self.refusal = ""  # why we can't remove the records of others; empty: we can, as far as we know
        self.renewed_at: float | None = None  # seconds since the epoch; None: not yet in this run
        self.stats = LeaseCounters()
        self.claimed = asyncio.Event()  # to be set once we have a record
        self._own_record = own_record
        self._follower = follower
        self._random = random

    async def run(self, records: RecordStore, renewals: RecordStore) -> None:
        """Renew at once and four times a lease, and look after others each time, until cancelled.

        Whatever fails is told once and tried again: without a lease renewed the mesh goes on.
        """
        reaper = LeaseReaper(records, renewals, self.lease_s * SLACK)
        self.refusal = ""
        await self.claimed.wait()
        due_s = time.monotonic()
        while True:
            pause_s = await self.turn(reaper, time.monotonic(), due_s)
            due_s = time.monotonic() + pause_s
            await asyncio.sleep(pause_s)

    async def turn(self, reaper: LeaseReaper, now_s: float, due_s: float) -> float:
        """Renew, and look after others; return for how many seconds to wait. The times are as in `Watch.begin`."""
        failure, pause_s = "", renewal_pause_s(self.lease_s, self._random.random())
        try:
            renewed = await self._renew(reaper, now_s, due_s)
        except NatsError as error:
            failure, renewed = str(error), False
            self.stats.failures += 1
            if failure != self.failure:
                log.warning("our lease is not renewed", error=failure, hint=error.hint)
        self.failure = failure
        if not renewed:
            reaper.forget()
            pause_s = min(LONGEST_RETRY_S, pause_s)
        return pause_s

    async def _renew(self, reaper: LeaseReaper, now_s: float, due_s: float) -> bool:
        """Renew our lease and look after others; return False if we have no record now."""
        record = self._own_record()
        if record is None:
            return False
        await reaper.write(record.key, record.instance.encode())
        self.renewed_at, self.stats.renewals = time.time(), self.stats.renewals + 1
        if self._follower.synced.is_set() and not self.refusal:
            others = successors(record.key, leased_records(self._follower.table))
            try:
                removed = await reaper.look(others, now_s, due_s, enough=WATCHERS)
                self.stats.records_removed += len(removed)
            except NatsDeniedError as error:
                self.refusal = str(error)
                log.warning("records whose lease ran out are left to others", error=self.refusal)
        return True
