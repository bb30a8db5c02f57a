"""Single promises of the follower that the property test covers only together with others, or not at all."""

import asyncio
import time
from collections.abc import Callable
from random import Random

import pytest

from ikto_core.errors import NatsError
from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.mesh.view import Entry
from ikto_core.store import follower as follower_module
from ikto_core.store.follower import Follower, StaleReadError
from ikto_core.store.interfaces import Message, Page
from tests.store.test_following import until


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
def test_a_history_rewritten_beyond_the_overlap_is_known_by_its_start(
    follower: Follower, bucket: MemoryBucket, monkeypatch: pytest.MonkeyPatch, replaced: Callable[[MemoryBucket], None]
) -> None:
    """Every revision that we would read again may have been superseded in the new history."""
    monkeypatch.setattr(follower_module, "OVERLAP", 0)
    bucket.faults.delivery = Delivery.DROPPED
    follower.disconnected()
    replaced(bucket)
    for key in ("peers.x", "peers.0", "peers.1", "peers.2", "peers.2"):
        bucket.write(key, b"new")
    asyncio.run(follower.resync(bucket))
    assert shown(follower) == bucket.live


def test_no_push_is_believed_before_the_leader_was_asked(follower: Follower, bucket: MemoryBucket) -> None:
    """After a reconnect the next revision may be another history's."""
    before = shown(follower)
    follower.disconnected()
    follower.receive(Message("peers.3", follower.revision + 1, b"new", "later"))
    assert shown(follower) == before
    assert bucket.live == before


def test_a_page_that_is_older_than_the_pushes_brings_nothing_back(follower: Follower, bucket: MemoryBucket) -> None:
    """A key is written and deleted, by push, while the page that shows it written is under way."""
    pending: list[bytes | None] = [b"new", None]

    def write_on() -> None:
        if pending:
            bucket.write("peers.3", pending.pop(0))

    told: list[dict[str, bytes | None]] = []
    follower._on_change = lambda changes: told.append({key: entry.value for key, entry in changes.items()})
    bucket.interrupt = write_on
    asyncio.run(follower.resync(bucket))
    assert told == [{"peers.3": b"new"}, {"peers.3": None}]
    assert shown(follower) == bucket.live


def test_a_stream_that_is_replaced_while_it_is_walked_changes_nothing_yet(bucket: MemoryBucket) -> None:
    follower = Follower(lambda _: None, Random(0))
    steps = iter([None, None, bucket.recreate])
    bucket.interrupt = lambda: (step := next(steps, None)) and step()
    with pytest.raises(StaleReadError, match="replaced"):
        asyncio.run(follower.resync(bucket))
    assert follower.table == {}
    assert not follower.synced.is_set()


def test_a_failed_walk_removes_nobody(follower: Follower, bucket: MemoryBucket) -> None:
    before = shown(follower)
    bucket.recreate()
    bucket.faults.fail_reads = 2
    for _ in range(2):
        with pytest.raises(NatsError):
            asyncio.run(follower.resync(bucket))
    assert shown(follower) == before
    asyncio.run(follower.resync(bucket))
    assert shown(follower) == {}


async def test_everything_is_read_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "AUDIT_EVERY_S", 0)
    bucket = MemoryBucket()
    follower = Follower(lambda _: None, Random(0))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(follower.run(bucket))
        await until(lambda: follower.stats.whole_walks == 1)
        follower.wake()
        await until(lambda: follower.stats.whole_walks == 2)
        running.cancel()


async def test_a_reader_that_fails_again_and_again_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower_module, "RETRY_S", 0.001)
    bucket = MemoryBucket()
    bucket.faults.fail_reads = follower_module.RETRIES
    with pytest.raises(NatsError, match="no answer"):
        await Follower(lambda _: None, Random(0)).run(bucket)


class SlowBucket(MemoryBucket):
    """Each page takes most of a minute by the event loop's clock."""

    late_s = 0.0

    def loop_time(self) -> float:
        return time.monotonic() + self.late_s

    async def page(self, start: int) -> Page:
        self.late_s += 50
        await asyncio.sleep(0.001)  # for whoever counts the time to see that it is over
        return await super().page(start)


async def test_a_walk_may_take_as_long_as_its_pages_come(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_large_mesh_asks_the_leader_less_often() -> None:
    """All agents together ask at most about LEADER_CHECKS_PER_S times a second."""
    follower = Follower(lambda _: None, Random(0))
    bucket = MemoryBucket(page_size=10_000)
    asyncio.run(follower.resync(bucket))
    assert 16 <= follower.check_interval_s() <= 24
    follower.table = dict.fromkeys(map(str, range(10_000)), Entry(1, b""))
    assert 160 <= follower.check_interval_s() <= 240
