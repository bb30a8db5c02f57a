"""A check at the leader costs one answer of it while nothing is new, and finds whatever has changed all the same."""

import asyncio
from functools import partial
from random import Random

import pytest
from nats.js.api import StreamConfig

from ikto_core.lab.memory_bucket import Delivery, MemoryBucket
from ikto_core.lab.nats_server import NatsServer
from ikto_core.store.bucket import Bucket
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import Page
from ikto_core.store.session import Session
from ikto_core.store.table import OVERLAPS
from tests.store.test_following import following, until

KEYS = 300


@pytest.fixture
def memory() -> MemoryBucket:
    memory = MemoryBucket()
    for number in range(KEYS):
        memory.write(f"peers.{number}", b"value")
    return memory


@pytest.fixture
def follower(memory: MemoryBucket) -> Follower:
    follower = Follower(lambda _: None, Random(0))
    memory.subscribe(follower.receive)
    asyncio.run(follower.resync(memory))
    memory.pages = memory.infos = memory.messages_read = 0
    return follower


def shown(follower: Follower) -> dict[str, bytes]:
    return {key: entry.value for key, entry in follower.table.items() if entry.value is not None}


def check(follower: Follower, memory: MemoryBucket) -> tuple[int, int]:
    """Check once; return how many pages were read and how many messages they had."""
    pages, messages = memory.pages, memory.messages_read
    asyncio.run(follower.resync(memory))
    assert shown(follower) == memory.live
    return memory.pages - pages, memory.messages_read - messages


@pytest.mark.parametrize("reconnected", [False, True])
def test_while_nothing_is_new_no_page_is_read(follower: Follower, memory: MemoryBucket, reconnected: bool) -> None:
    memory.write("peers.0", b"pushed")
    for _ in range(3):
        if reconnected:
            follower.disconnected()
        assert check(follower, memory) == (0, 0)
    assert memory.infos == 3
    assert (follower.stats.checks, follower.stats.catch_ups) == (1 + 3, 0)


def test_a_reconnect_reads_what_changed_and_one_known_message(follower: Follower, memory: MemoryBucket) -> None:
    follower.disconnected()
    memory.faults.delivery = Delivery.DROPPED
    for number in range(5):
        memory.write(f"peers.{number}", b"changed")
    assert check(follower, memory) == (1, 5 + 1)


def test_a_reconnect_reads_more_known_messages_while_the_last_ones_are_superseded(
    follower: Follower, memory: MemoryBucket
) -> None:
    """One that still exists proves that the history is the same."""
    follower.disconnected()
    memory.faults.delivery = Delivery.DROPPED
    memory.write(f"peers.{KEYS - 1}", b"changed")
    assert check(follower, memory) == (2, 1 + OVERLAPS[1])


def test_without_the_time_of_the_last_message_it_is_read(follower: Follower, memory: MemoryBucket) -> None:
    """An empty time proves nothing, even if it was empty before."""
    memory.tells_last_time = False
    for _ in range(3):
        assert check(follower, memory) == (1, 1)


@pytest.mark.parametrize("reconnected", [False, True])
def test_a_rewritten_history_with_the_same_last_revision_is_found(memory: MemoryBucket, reconnected: bool) -> None:
    """The writes of the new history are not pushed."""
    follower = Follower(lambda _: None, Random(0))
    restore = memory.backup()
    for number in range(5):
        memory.write(f"peers.{number}", b"lost")
    asyncio.run(follower.resync(memory))
    restore()
    for number in range(5):
        memory.write(f"peers.{number}", b"other")
    assert memory.last_revision == follower.revision
    if reconnected:
        follower.disconnected()
    check(follower, memory)
    assert follower.histories == 1


@pytest.mark.parametrize("key", ["peers.0", "peers.7", f"peers.{KEYS - 1}"], ids=["first", "middle", "last"])
def test_a_key_that_is_removed_without_a_trace_is_found(follower: Follower, memory: MemoryBucket, key: str) -> None:
    """A purge, a deletion of the message, and an expiry without a marker are the same at the leader."""
    memory.purge(key)
    for _ in range(2):  # the second reads the last message, if that is not the one with the last revision
        check(follower, memory)
    assert check(follower, memory) == (0, 0)


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The revisions from which pages were read, of any bucket."""
    read: list[int] = []
    page = Bucket.page

    async def counted(self: Bucket, start: int) -> Page:
        read.append(start)
        return await page(self, start)

    monkeypatch.setattr(Bucket, "page", counted)
    return read


def shows(follower: Follower, revision: int) -> bool:
    return follower.revision >= revision


async def checks(follower: Follower, bucket: Bucket, pages: list[int]) -> int:
    """Check once; return how many pages were read."""
    pages.clear()
    await follower.resync(bucket)
    return len(pages)


async def test_while_nothing_is_new_a_real_server_is_asked_for_no_page(
    shared_server: NatsServer, bucket: Bucket, pages: list[int]
) -> None:
    """Pages, pushes and the leader's state all have the same time of a message, character by character."""
    async with following(shared_server, bucket.name) as watcher:
        follower = watcher.follower
        assert await checks(follower, bucket, pages) == 0  # the last message was in a page
        for number in range(20):  # a time may end with zeros, which are left out
            revision = await bucket.put(f"peers.{number}", b"one", expected=0)
            await until(partial(shows, follower, revision))
            assert await checks(follower, bucket, pages) == 0


@pytest.mark.parametrize(("history", "removed"), [(1, 3), (1, 4), (2, 4)])
async def test_a_message_that_is_deleted_from_the_stream_is_found(
    session: Session, pages: list[int], history: int, removed: int
) -> None:
    """With a history of two the message before it counts again, and there are as many keys as before."""
    name = f"deleted-{history}-{removed}"
    settings = StreamConfig(f"KV_{name}", subjects=[f"$KV.{name}.>"], max_msgs_per_subject=history, allow_direct=True)
    await session.client.jetstream().add_stream(settings)
    bucket, follower = Bucket(session, name), Follower(lambda _: None, Random(0))
    for key in ("peers.a", "peers.b", "peers.a", "peers.b"):
        await session.client.jetstream().publish(f"$KV.{name}.{key}", b"value")
    for _ in range(2):
        await follower.resync(bucket)
    assert await checks(follower, bucket, pages) == 0
    await bucket.call("STREAM.MSG.DELETE", {"seq": removed})
    await follower.resync(bucket)
    expected = {key: await bucket.get(key) for key in ("peers.a", "peers.b")}
    assert follower.table == {key: entry for key, entry in expected.items() if entry}
