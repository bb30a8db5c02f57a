"""Renewing a lease costs a few reads whatever the size of the mesh; a denied removal is not attempted again."""

import time
from random import Random

import pytest
from msgspec.structs import replace

from ikto_core.errors import NatsDeniedError
from ikto_core.lab.memory_bucket import MemoryBucket
from ikto_core.lease.policy import WATCHERS
from ikto_core.lease.reaper import LeaseReaper
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.store.follower import Follower
from ikto_core.values.counters import LeaseCounters
from tests.samples import entries_of
from tests.samples import record as sample

LEASE_S = 600
MESH = [replace(sample(f"10.0.0.{16 * n}/28", instance=f"run-{n}"), lease=LEASE_S) for n in range(16)]
OWN = MESH[0]


class CountingBucket(MemoryBucket):
    """A bucket that counts reads of single keys."""

    reads = 0

    async def get(self, key: str) -> Entry | None:
        self.reads += 1
        return await super().get(key)


class ReadOnlyBucket(MemoryBucket):
    """A bucket that this node has no permission to write to."""

    attempts = 0

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:  # noqa: ARG002 - the interface has it
        self.attempts += 1
        raise NatsDeniedError(f"you may not write {key}")


def renewals(*records: PeerRecord) -> CountingBucket:
    bucket = CountingBucket()
    times = iter(["2026-01-01T00:00:00Z"] * len(records))
    bucket.clock = lambda: next(times, "2026-01-01T00:20:00Z")
    for record in records:
        bucket.write(record.key, record.instance.encode())
    return bucket


def renewer_of(*records: PeerRecord, own: PeerRecord | None = OWN) -> LeaseRenewer:
    follower = Follower(lambda _: None, Random(1))
    follower._known.entries = entries_of(*records)
    follower.synced.set()
    return LeaseRenewer(LEASE_S, lambda: own, follower, Random(1))


async def test_one_run_reads_its_own_renewal_twice_and_those_of_three_live_nodes() -> None:
    bucket = renewals()
    for record in MESH:
        bucket.write(record.key, record.instance.encode())
    pause_s = await renewer_of(*MESH).run_once(LeaseReaper(MemoryBucket(), bucket, 30), 0, 0)
    assert bucket.reads == 2 + WATCHERS
    assert 0.2 * LEASE_S <= pause_s <= 0.3 * LEASE_S


async def test_a_node_without_permission_to_remove_tries_once_and_continues_to_renew() -> None:
    denied, bucket = ReadOnlyBucket(), renewals(*MESH)
    renewer, reaper = renewer_of(*MESH), LeaseReaper(denied, bucket, 30)
    for now_s in (0, LEASE_S, 2 * LEASE_S):
        await renewer.run_once(reaper, now_s, now_s)
    assert denied.attempts == 1
    assert "may not write" in renewer.refusal
    assert renewer.failure == ""
    assert bucket.live[OWN.key] == b"run-0"


async def test_renewals_and_removals_are_counted() -> None:
    mesh, dead = MemoryBucket(), MESH[1]
    mesh.write(dead.key, encode_record(dead))
    renewer, reaper = renewer_of(dead), LeaseReaper(mesh, renewals(dead), 30)
    for round_ in range(2):
        before = time.time()
        await renewer.run_once(reaper, round_ * LEASE_S, round_ * LEASE_S)
        assert renewer.renewed_at
        assert before <= renewer.renewed_at <= time.time()
        assert renewer.stats == LeaseCounters(renewals=round_ + 1, records_removed=round_)
    assert not mesh.live


@pytest.mark.parametrize("own", [None, OWN])
async def test_a_node_without_a_record_or_with_a_failed_renewal_retries_soon(own: PeerRecord | None) -> None:
    bucket = renewals()
    bucket.faults.lose_writes = 1
    renewer = renewer_of(*MESH, own=own)
    assert await renewer.run_once(LeaseReaper(MemoryBucket(), bucket, 30), 0, 0) == 30
    assert renewer.failure == ("the write was lost" if own else "")
    assert (renewer.stats, renewer.renewed_at) == (LeaseCounters(failures=1 if own else 0), None)
    assert bucket.live == {}
