"""Whatever clients publish to a real nats-server, a bucket is read to its end, the same way by every path."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
from structlog.testing import capture_logs

from ikto_core.lab.nats_server import NatsServer
from ikto_core.store.bucket import Bucket
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import Message
from ikto_core.store.session import Session
from tests.effort import max_examples
from tests.raw_nats import publish_raw
from tests.store.test_following import following, until

CORPUS = {p.stem: p.read_bytes() for p in sorted((Path(__file__).parent / "corpus" / "headers").glob("*.bin"))}
KEYS = (b"peers.a", b"peers.\xff", b"peers.\xfe", b"peers.\xfe\x0b", b"peers.\\xff", b"peers.\xc3\xa9", b"x.\x00")
UNCOUNTED_KEY = b"x.\x7f"  # nats-server 2.15.1 does not count it among the stream's subjects
FRAGMENTS = (b"NATS/1.0", b"\r\n", b"\n", b" ", b":", b"404", b"Status: 404", b"Nats-Sequence: 7", b"KV-Operation: DEL")


def stored(bucket: str, key: bytes, header_block: bytes, value: bytes) -> bytes:
    """Return the operation that writes a value with this header block, as it is."""
    # nats-server 2.15.1 panics at a header block of one byte in a stream that republishes
    block = header_block if len(header_block) != 1 else b""
    head = b"HPUB $KV.%s.%s %d %d\r\n" % (bucket.encode(), key, len(block), len(block) + len(value))
    return head + block + value + b"\r\n"


def header_blocks(random: Random, count: int) -> Iterable[bytes]:
    """Yield the corpus, and header blocks that are mutations and mixtures of it."""
    yield from CORPUS.values()
    for _ in range(count):
        block = bytearray(random.choice([*CORPUS.values(), b"".join(random.choices(FRAGMENTS, k=random.randrange(9)))]))
        for _ in range(random.randrange(4)):
            at = random.randrange(len(block) + 1)
            block[at : at + random.randrange(3)] = random.choice([random.randbytes(2), *FRAGMENTS])
        yield bytes(block)


async def walked(bucket: Bucket) -> list[Message]:
    """Return all messages of a bucket."""
    messages: list[Message] = []
    while not (page := await bucket.page(messages[-1].revision + 1 if messages else 1)).complete:
        messages += page.messages
    return [*messages, *page.messages]


async def test_pages_pushes_and_the_leader_agree_on_any_header_block(
    shared_server: NatsServer, bucket: Bucket, session: Session
) -> None:
    """The published header blocks are the corpus and random ones; none of them hides, ends or changes a message."""
    random, pushed = Random(7), list[Message]()
    await session.subscribe(bucket.push_subject, lambda received: pushed.append(bucket.push(received)))
    blocks = list(header_blocks(random, max_examples(2000)))
    keys = [b"peers.%d" % number for number in range(len(blocks))]
    operations = (stored(bucket.name, key, block, b"value") for key, block in zip(keys, blocks, strict=True))
    await asyncio.to_thread(publish_raw, shared_server, b"".join(operations))
    await until(lambda: len(pushed) == len(blocks))
    messages = (await walked(bucket))[1:]  # without the mesh settings
    assert [message.key.encode() for message in messages] == keys
    assert messages == pushed
    assert messages == [await bucket.first_from(message.revision) for message in messages]


@pytest.mark.parametrize("block", CORPUS.values(), ids=CORPUS.keys())
async def test_a_follower_reads_on_after_a_record_with_any_header_block(
    shared_server: NatsServer, bucket: Bucket, block: bytes
) -> None:
    """So does a new one, which reads it in a page."""
    async with following(shared_server, bucket.name) as watcher:
        await asyncio.to_thread(publish_raw, shared_server, stored(bucket.name, b"peers.odd", block, b"odd"))
        await bucket.put("peers.a", b"one", expected=0)
        await until(lambda: watcher.shown.get("peers.a") == b"one")
        assert (watcher.sessions, watcher.follower.stats.failures) == (1, 0)
    async with following(shared_server, bucket.name) as newcomer:
        assert newcomer.shown.get("peers.a") == b"one"
        assert newcomer.follower.table == watcher.follower.table


async def test_keys_of_any_bytes_are_told_apart(shared_server: NatsServer, bucket: Bucket) -> None:
    """Two keys that were taken for one would look like a purge, and cause a walk of the whole bucket at each check."""
    operations = b"".join(stored(bucket.name, key, b"", b"v") for key in KEYS)
    await asyncio.to_thread(publish_raw, shared_server, operations)
    follower = Follower(lambda _: None, Random(0))
    for _ in range(3):
        await follower.resync(bucket)
    assert len(follower.table) == 1 + len(KEYS)
    assert follower.stats.whole_walks == 1


async def test_a_key_that_the_leader_does_not_count_is_not_a_reason_to_walk_at_each_check(
    shared_server: NatsServer, bucket: Bucket
) -> None:
    await asyncio.to_thread(publish_raw, shared_server, stored(bucket.name, UNCOUNTED_KEY, b"", b"v"))
    follower = Follower(lambda _: None, Random(0))
    for _ in range(6):
        await follower.resync(bucket)
    assert len(follower.table) == 2
    assert follower.stats.whole_walks == 2


async def test_a_purge_is_detected_beside_a_key_that_the_leader_does_not_count(
    shared_server: NatsServer, session: Session
) -> None:
    await session.client.jetstream().create_key_value(bucket="uncounted", direct=True)
    bucket = Bucket(session, "uncounted")
    await asyncio.to_thread(publish_raw, shared_server, stored(bucket.name, UNCOUNTED_KEY, b"", b"v"))
    follower = Follower(lambda _: None, Random(0))
    await bucket.put("peers.a", b"one", expected=0)
    for _ in range(3):
        await follower.resync(bucket)
    await bucket.call("STREAM.PURGE", {"filter": f"$KV.{bucket.name}.peers.a"})
    await follower.resync(bucket)
    assert "peers.a" not in follower.table


async def test_a_subject_that_the_leader_can_not_name_is_quarantined_by_revision(
    shared_server: NatsServer, bucket: Bucket
) -> None:
    """Without Direct Get, bytes that are not UTF-8 arrive as replacement characters."""
    operations = b"".join(stored(bucket.name, key, b"", b"v") for key in (b"peers.\xff", b"peers.\xfe", b"peers.a"))
    await asyncio.to_thread(publish_raw, shared_server, operations)
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    await bucket.call("STREAM.UPDATE", config | {"allow_direct": False})
    follower = Follower(lambda _: None, Random(0))
    await follower.resync(bucket)
    await follower.resync(bucket)
    assert follower.table.keys() == {"mesh", "peers.a", "(revision 2)", "(revision 3)"}
    assert "can't be read" in follower.table["(revision 2)"].unreadable
    assert follower.stats.whole_walks == 1


async def test_junk_on_the_push_subject_is_one_line_in_the_log_and_no_traceback(
    shared_server: NatsServer, bucket: Bucket
) -> None:
    """A client had the server answer 200 requests to the push subject, with pages of the bucket among the answers."""
    await bucket.put("peers.a", b"one", expected=0)
    subject = f"ikto.{bucket.name}.peers.x".encode()
    page = b'{"seq":1,"batch":1000,"next_by_subj":"$KV.%s.>"}' % bucket.name.encode()
    info = b"PUB $JS.API.STREAM.INFO.KV_%s %s 0\r\n\r\n" % (bucket.name.encode(), subject)
    pages = b"PUB $JS.API.DIRECT.GET.KV_%s %s %d\r\n%s\r\n" % (bucket.name.encode(), subject, len(page), page)
    with capture_logs() as logged:
        async with following(shared_server, bucket.name) as watcher:
            await asyncio.to_thread(publish_raw, shared_server, info * 100 + pages * 100)
            await until(lambda: watcher.follower.stats.junk_pushes == 100 + 3 * 100)
            await bucket.put("peers.b", b"two", expected=0)
            await until(lambda: "peers.b" in watcher.shown)
            assert watcher.follower.stats.pushes == 1
    lines = [line for line in logged if "dropped" in line["event"]]
    assert len(lines) == 1
    assert not any("exc_info" in line for line in logged)
