"""Cases of the follower that the property test covers only in combination, or not at all."""

import asyncio
import time
from collections.abc import Callable
from random import Random

import pytest

from ikto_core.errors import NatsError
from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.store import follower as follower_module
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import Message, Page
from ikto_core.store.walk import StaleReadError


@pytest.fixture
def bucket() -> MemoryBucket:
    bucket = MemoryBucket(page_size=1)
    for number in range(3):
        bucket.write(f"peers.{number}", b"old")
    return bucket


@pytest.fixture
def follower(bucket: MemoryBucket) -> Follower:
    follower = Follower(lambda _: None, Random(0))
    bucket.subscribe(follower.receive)
    asyncio.run(follower.resync(bucket))
    return follower


def shown(follower: Follower) -> dict[str, bytes]:
    return {key: entry.value for key, entry in follower.table.items() if entry.value is not None}


@pytest.mark.parametrize("replaced", [MemoryBucket.recreate, MemoryBucket.lose_memory])
def test_a_history_rewritten_below_the_overlap_is_detected_by_its_start(
    follower: Follower, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch, replaced: Callable[[MemoryBucket], None]
) -> None:
    """In the new history, every revision of the overlap may have been superseded."""
    monkeypatch.setattr(follower_module, "OVERLAPS", (1,))
    bucket.faults.delivery = Delivery.DROPPED
    follower.disconnected()
    replaced(bucket)
    for key in ("peers.x", "peers.0", "peers.1", "peers.2", "peers.2"):
        bucket.write(key, b"new")
    asyncio.run(follower.resync(bucket))
    assert shown(follower) == bucket.live


def test_no_push_is_applied_before_the_leader_was_asked(follower: Follower, bucket: MemoryBucket) -> None:
    """After a reconnect the next revision may belong to another history."""
    before = shown(follower)
    follower.disconnected()
    follower.receive(Message("peers.3", follower.revision + 1, b"new", "later"))
    assert shown(follower) == before
    assert bucket.live == before


def test_a_table_never_has_messages_of_two_histories(follower: Follower, bucket: MemoryBucket) -> None:
    """It may be saved between the push that shows another history and the check at the leader, and restored later."""
    restore = bucket.backup()
    for number in (0, 1):
        bucket.write(f"peers.{number}", b"lost")
    restore()
    for number in (2, 2, 3):
        bucket.write(f"peers.{number}", b"new")
    assert follower.position
    restarted = Follower(lambda _: None, Random(0))
    restarted.restore(follower.table, follower.position)
    asyncio.run(restarted.resync(bucket))
    assert shown(restarted) == bucket.live


def test_a_page_older_than_the_pushes_restores_no_deleted_key(follower: Follower, bucket: MemoryBucket) -> None:
    """A key is written and deleted, by push, while the page that shows it written is under way."""
    bucket.tells_last_time = False  # otherwise no page is read
    pending: list[bytes | None] = [b"new", None]

    def write_on() -> None:
        if pending:
            bucket.write("peers.3", pending.pop(0))

    reported: list[dict[str, bytes | None]] = []
    follower._on_change = lambda changes: reported.append({key: entry.value for key, entry in changes.items()})
    bucket.interrupt = write_on
    asyncio.run(follower.resync(bucket))
    assert reported == [{"peers.3": b"new"}, {"peers.3": None}]
    assert shown(follower) == bucket.live


def test_a_stream_that_is_replaced_during_a_walk_changes_nothing(bucket: MemoryBucket) -> None:
    follower = Follower(lambda _: None, Random(0))
    steps = iter([None, None, bucket.recreate])
    bucket.interrupt = lambda: (step := next(steps, None)) and step()
    with pytest.raises(StaleReadError, match="replaced"):
        asyncio.run(follower.resync(bucket))
    assert follower.table == {}
    assert not follower.synced.is_set()


def test_a_failed_walk_removes_no_peer(follower: Follower, bucket: MemoryBucket) -> None:
    before = shown(follower)
    bucket.recreate()
    bucket.faults.fail_reads = 2
    for _ in range(2):
        with pytest.raises(NatsError):
            asyncio.run(follower.resync(bucket))
    assert shown(follower) == before
    asyncio.run(follower.resync(bucket))
    assert shown(follower) == {}


async def test_run_ends_after_repeated_failures_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "RETRY_S", 0.001)
    bucket = MemoryBucket()
    bucket.faults.fail_reads = follower_module.RETRIES
    with pytest.raises(NatsError, match="no answer"):
        await Follower(lambda _: None, Random(0)).run(bucket)


class SlowBucket(MemoryBucket):
    """Each page takes 50 s by the event loop's clock."""

    late_s = 0.0

    def loop_time(self) -> float:
        return time.monotonic() + self.late_s

    async def page(self, start: int) -> Page:
        self.late_s += 50
        await asyncio.sleep(0.001)  # lets expired timeouts fire
        return await super().page(start)


async def test_a_walk_has_no_time_limit_while_its_pages_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = SlowBucket(page_size=1)
    for number in range(20):
        bucket.write(f"peers.{number}", b"value")
    monkeypatch.setattr(asyncio.get_running_loop(), "time", bucket.loop_time)
    follower = Follower(lambda _: None, Random(0))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(follower.run(bucket))
        await follower.synced.wait()
        running.cancel()
    assert shown(follower) == bucket.live
    assert follower.stats.failures == 0


def lose_the_last_write(bucket: MemoryBucket) -> None:
    """Another write gets its revision."""
    del bucket._messages[bucket.last_revision]
    bucket.last_revision -= 1
    bucket.write("peers.x", b"new")


@pytest.mark.parametrize("rewritten", [False, True])
def test_a_restored_table_is_reported_as_a_whole_once_it_was_checked(
    follower: Follower, bucket: MemoryBucket, rewritten: bool
) -> None:
    """If the history is another one, what the bucket has now is reported, and nothing of the table."""
    assert follower.position
    reported: list[dict[str, bytes | None]] = []
    restored = Follower(lambda changes: reported.append({key: e.value for key, e in changes.items()}), Random(0))
    restored.restore(follower.table, follower.position)
    if rewritten:
        lose_the_last_write(bucket)
    bucket.faults.fail_reads = 1
    with pytest.raises(NatsError):
        asyncio.run(restored.resync(bucket))
    assert reported == []
    asyncio.run(restored.resync(bucket))
    assert reported == [bucket.live]
    assert restored.histories == int(rewritten)
