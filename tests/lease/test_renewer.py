"""A lease costs a handful of reads, whatever the mesh's size; what is refused is told once and asked for no more."""

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
from tests.samples import claim_state
from tests.samples import record as sample

LEASE_S = 600
MESH = [replace(sample(f"10.0.0.{16 * n}/28", instance=f"run-{n}"), lease=LEASE_S) for n in range(16)]
OWN = MESH[0]


class Reads(MemoryBucket):
    """A bucket that tells how often single keys were read."""

    reads = 0

    async def get(self, key: str) -> Entry | None:
        self.reads += 1
        return await super().get(key)


class Denied(MemoryBucket):
    """A bucket where only others may write."""

    asked = 0

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:  # noqa: ARG002 - as the port has it
        self.asked += 1
        raise NatsDeniedError(f"you may not write {key}")


def renewals(*records: PeerRecord) -> Reads:
    bucket = Reads()
    times = iter(["2026-01-01T00:00:00Z"] * len(records))
    bucket.clock = lambda: next(times, "2026-01-01T00:20:00Z")
    for record in records:
        bucket.write(record.key, record.instance.encode())
    return bucket


def snapshot_writer(*records: PeerRecord, own: PeerRecord | None = OWN) -> LeaseRenewer:
    follower = Follower(lambda _: None, Random(1))
    follower.table = claim_state(*records)
    follower.synced.set()
    return LeaseRenewer(LEASE_S, lambda: own, follower, Random(1))


async def test_a_turn_reads_our_own_renewal_twice_and_those_of_three_that_live() -> None:
    kept = renewals()
    for record in MESH:
        kept.write(record.key, record.instance.encode())
    pause_s = await snapshot_writer(*MESH).turn(LeaseReaper(MemoryBucket(), kept, 30), 0, 0)
    assert kept.reads == 2 + WATCHERS
    assert 0.2 * LEASE_S <= pause_s <= 0.3 * LEASE_S


async def test_who_may_not_remove_others_asks_once_and_renews_on() -> None:
    denied, kept = Denied(), renewals(*MESH)
    ours, reaper = snapshot_writer(*MESH), LeaseReaper(denied, kept, 30)
    for now_s in (0, LEASE_S, 2 * LEASE_S):
        await ours.turn(reaper, now_s, now_s)
    assert denied.asked == 1
    assert "may not write" in ours.refusal
    assert ours.failure == ""
    assert kept.live[OWN.key] == b"run-0"


async def test_renewals_and_removals_are_counted() -> None:
    mesh, dead = MemoryBucket(), MESH[1]
    mesh.write(dead.key, encode_record(dead))
    ours, reaper = snapshot_writer(dead), LeaseReaper(mesh, renewals(dead), 30)
    for turn in range(2):
        before = time.time()
        await ours.turn(reaper, turn * LEASE_S, turn * LEASE_S)
        assert ours.renewed_at
        assert before <= ours.renewed_at <= time.time()
        assert ours.stats == LeaseCounters(renewals=turn + 1, records_removed=turn)
    assert not mesh.live


@pytest.mark.parametrize("own", [None, OWN])
async def test_who_has_no_record_or_can_not_renew_tries_again_soon(own: PeerRecord | None) -> None:
    kept = renewals()
    kept.faults.lose_writes = 1
    ours = snapshot_writer(*MESH, own=own)
    assert await ours.turn(LeaseReaper(MemoryBucket(), kept, 30), 0, 0) == 30
    assert ours.failure == ("the write was lost" if own else "")
    assert (ours.stats, ours.renewed_at) == (LeaseCounters(failures=1 if own else 0), None)
    assert kept.live == {}
