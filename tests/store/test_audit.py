"""A difference that no check at the leader shows is found in time, and what all agents read for that is limited."""

import asyncio
import time
from collections.abc import Iterator
from math import inf
from random import Random

import pytest

from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.mesh.view import Entry
from ikto_core.store import audit as audit_module
from ikto_core.store.audit import FLEET_MESSAGES_PER_S, ROUND_S, Audit, round_s
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import BucketInfo, Message, Page
from ikto_core.store.table import BucketTable
from ikto_core.values.counters import FollowerCounters

KEYS, SLICE = 40, 10


@pytest.fixture
def bucket() -> MemoryBucket:
    bucket = MemoryBucket(page_size=5)
    for number in range(KEYS):
        bucket.write(f"peers.{number}", b"value")
    return bucket


@pytest.fixture
def follower(bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch) -> Follower:
    """Follow the bucket; a slice has ten keys, and one is due at each check."""
    monkeypatch.setattr(audit_module, "SLICE", SLICE)
    monkeypatch.setattr(audit_module, "round_s", lambda _: 0.0)
    follower = Follower(lambda _: None, Random(0))
    bucket.subscribe(follower.receive)
    asyncio.run(follower.resync(bucket))
    bucket.messages_read = 0
    return follower


def check(follower: Follower, bucket: MemoryBucket, times: int = 1) -> int:
    """Check so often; return how many messages were read."""
    before = bucket.messages_read
    for _ in range(times):
        asyncio.run(follower.resync(bucket))
    return bucket.messages_read - before


def test_a_round_reads_each_message_once_and_changes_nothing(follower: Follower, bucket: MemoryBucket) -> None:
    for _ in range(2):
        assert check(follower, bucket, KEYS // SLICE + 1) == KEYS  # the last slice is empty
    assert (follower.stats.whole_walks, follower.resyncs.audit) == (1, 0)


@pytest.mark.parametrize("number", [0, 13, KEYS - 1])
def test_a_wrong_value_is_found_within_a_round(follower: Follower, bucket: MemoryBucket, number: int) -> None:
    key = f"peers.{number}"
    follower.table[key] = Entry(follower.table[key].revision, b"wrong", follower.table[key].time)
    check(follower, bucket, KEYS // SLICE + 2)
    assert follower.table[key].value == b"value"
    assert follower.resyncs.audit == 1


def test_another_key_than_the_bucket_has_is_found_within_a_round(follower: Follower, bucket: MemoryBucket) -> None:
    """There are as many keys as the leader counts."""
    follower.table["peers.wrong"] = follower.table.pop("peers.7")
    check(follower, bucket, KEYS // SLICE + 2)
    assert {key: entry.value for key, entry in follower.table.items()} == bucket.live


def test_a_message_that_only_the_table_has_is_found_within_a_round(follower: Follower, bucket: MemoryBucket) -> None:
    """The latest message of a key was deleted, and the one before it counts again: there are as many keys as before."""
    before = bucket._messages[6]
    bucket.write("peers.5", b"deleted")
    bucket.write("peers.6", b"last")
    del bucket._messages[KEYS + 1]
    bucket._messages = dict(sorted({**bucket._messages, 6: before}.items()))
    check(follower, bucket, KEYS // SLICE + 3)
    assert {key: entry.value for key, entry in follower.table.items()} == bucket.live
    assert follower.resyncs.audit == 1


def test_a_write_during_a_slice_is_no_difference(follower: Follower, bucket: MemoryBucket) -> None:
    """The slice lacks a message that the table has: its push is dropped, so the table learns of it later."""
    bucket.faults.delivery = Delivery.DROPPED
    for _ in range(2):
        reads, key = iter(["info", "page"]), f"peers.{follower._audit.start}"  # the second message of the slice

        def write(reads: Iterator[str] = reads, key: str = key) -> None:
            if next(reads, "") == "page":
                bucket.write(key, b"new")

        bucket.interrupt = write
        check(follower, bucket)
        assert follower._audit.must_settle
        bucket.interrupt = lambda: None
        follower._audit.due_at = inf
        check(follower, bucket)
        assert {key: entry.value for key, entry in follower.table.items()} == bucket.live
        follower._audit.due_at = 0
    assert (follower.stats.whole_walks, follower.resyncs.audit) == (1, 0)


def test_a_replica_that_lags_is_no_difference(follower: Follower, bucket: MemoryBucket) -> None:
    for number in range(KEYS):
        bucket.write(f"peers.{number}", b"new")
        bucket.faults.lags = [number] * 3
        check(follower, bucket)
        bucket.faults.lags = []
    assert (follower.stats.whole_walks, follower.resyncs.audit) == (1, 0)


class OnePage:
    """A bucket of so many keys that answers with pages of a thousand messages."""

    def __init__(self, keys: int) -> None:
        self.keys = keys
        self.messages_read = 0

    async def info(self) -> BucketInfo:
        raise NotImplementedError

    async def first_from(self, start: int) -> Message | None:
        raise NotImplementedError

    async def page(self, start: int) -> Page:
        end = min(start + 1000, self.keys + 1)
        self.messages_read += end - start
        return Page(tuple(Message(f"peers.{n}", n, b"", "t") for n in range(start, end)), complete=end > self.keys)


@pytest.mark.parametrize("keys", [100, 5_000, 20_000])
def test_all_agents_together_read_a_limited_number_of_messages(keys: int) -> None:
    """There are as many agents as keys. Each reads its share of what the whole fleet may read."""
    bucket, known = OnePage(keys), BucketTable()
    known.entries = {f"peers.{n}": Entry(n, b"", "t") for n in range(1, keys + 1)}
    known.revision = keys
    audit = Audit(Random(1), FollowerCounters())
    audit.whole_bucket_read(keys, 0.0)
    first_due, rounds = audit.due_at, 10
    while bucket.messages_read < rounds * keys:
        assert not asyncio.run(audit.differs(bucket, known, audit.due_at))
    duration_s = audit.due_at - first_due
    assert duration_s == pytest.approx(rounds * round_s(keys), rel=0.1)
    assert keys * bucket.messages_read / duration_s <= 1.1 * FLEET_MESSAGES_PER_S


def test_an_agent_of_a_small_mesh_reads_everything_in_six_hours() -> None:
    assert {round_s(keys) for keys in (0, 1, 1000, 4600)} == {ROUND_S}
    assert round_s(10_000) == 100_000


def test_agents_that_are_often_restarted_read_as_many_slices_as_others() -> None:
    """A run lasts for a tenth of the pause between two slices: a tenth of the runs reads one."""
    keys, random = 10_000, Random(1)
    pause_s = round_s(keys) / 10
    due = 0
    for _ in range(1000):
        audit = Audit(random, FollowerCounters())
        audit.resume(start=1, keys=keys, now=time.monotonic())
        due += audit.due_at <= time.monotonic() + pause_s / 10
    assert 70 <= due <= 130
