"""Whatever a server answers, requests end with a NatsError and use limited memory, and nothing is removed."""

import asyncio
import itertools
import tracemalloc
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikto_core.errors import NatsError
from ikto_core.store import answers as answers_module
from ikto_core.store import bucket as bucket_module
from ikto_core.store import walk as walk_module
from ikto_core.store import wire
from ikto_core.store.answers import NoAnswerError
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import Message
from tests.effort import max_examples
from tests.store.hostile_server import END_OF_BATCH, INFO, STREAM, Answer, hostile_server, json_answer, message

MIB = 2**20


def endless_messages(payload: bytes) -> Iterable[Answer]:
    """Return a page without end; each message has the next revision."""
    return (message(revision, payload) for revision in itertools.count(1))


@pytest.mark.parametrize("payload", [b"", b"x" * MIB], ids=["small", "large"])
async def test_a_page_without_end_is_an_error_and_bounded(payload: bytes) -> None:
    async with (
        hostile_server(lambda _: endless_messages(payload)) as where,
        open_session(where, Random()) as session,
    ):
        tracemalloc.start()
        try:
            with pytest.raises(NatsError, match="does not end"):
                await Bucket(session, "b").page(1)
            assert tracemalloc.get_traced_memory()[1] < 3 * bucket_module.PAGE_LIMIT_BYTES
        finally:
            tracemalloc.stop()


async def test_a_page_that_stops_in_the_middle_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "REQUEST_TIMEOUT_S", 0.1)
    async with hostile_server(lambda _: [message(1), message(2)]) as where, open_session(where, Random()) as session:
        with pytest.raises(NoAnswerError, match=r"within 0\.1 s"):
            await Bucket(session, "b").page(1)


async def test_of_a_payload_of_any_size_a_bounded_part_is_kept_and_reading_goes_on() -> None:
    size = 64 * MIB
    pieces = itertools.chain([b"MSG x 1 %d\r\n" % size], itertools.repeat(b"A" * MIB, size // MIB), [b"\r\n"])
    async with hostile_server(lambda _: [json_answer(STREAM)], greeting=pieces) as where:
        tracemalloc.start()
        try:
            async with open_session(where, Random()) as session:
                assert (await Bucket(session, "b").info()).last_revision == 5
            assert tracemalloc.get_traced_memory()[1] < 3 * wire.MAX_PAYLOAD_BYTES
        finally:
            tracemalloc.stop()


async def resynced(follower: Follower, answer_page: Iterable[Answer]) -> None:
    """Resync once over a new connection to a server that sends this page again and again."""
    page = list(answer_page)

    def answers(subject: str) -> Iterable[Answer]:
        return page if "DIRECT" in subject else [json_answer(STREAM)]

    async with hostile_server(answers) as where, open_session(where, Random()) as session:
        await follower.resync(Bucket(session, "b"))


@pytest.mark.parametrize(
    "page",
    [
        [message(1), (END_OF_BATCH % 1, b"")],
        [message(2), message(1), (END_OF_BATCH % 0, b"")],
        [message(1), message(1), (END_OF_BATCH % 0, b"")],
        [message(1), (b"NATS/1.0\r\nNats-Subject: $KV.b.peers.y\r\n\r\n", b"value"), (END_OF_BATCH % 0, b"")],
        [message(1), (None, b"junk"), (END_OF_BATCH % 0, b"")],
        [(b"NATS/1.0 500 Broken\r\n\r\n", b"")],
    ],
    ids=["the same page for ever", "backwards", "twice", "without a revision", "without headers", "another status"],
)
async def test_a_page_that_can_not_be_believed_removes_no_peer(page: list[Answer]) -> None:
    reported: list[object] = []
    follower = Follower(reported.append, Random(0))
    follower._replace({"peers.a": Message("peers.a", 1, b"value")}, 1)
    reported.clear()
    with pytest.raises(NatsError):
        await resynced(follower, page)
    assert follower.table.keys() == {"peers.a"}
    assert reported == []


async def test_a_message_without_a_subject_is_quarantined_by_revision_and_the_walk_goes_on() -> None:
    follower = Follower(lambda _: None, Random(0))
    nameless = (b"NATS/1.0\r\nNats-Sequence: 2\r\n\r\n", b"value")
    await resynced(follower, [message(1), nameless, message(5, key="peers.z"), (END_OF_BATCH % 0, b"")])
    assert follower.table.keys() == {"peers.x", "(revision 2)", "peers.z"}


async def test_a_bucket_without_end_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk_module, "MAX_WALK_BYTES", 10_000)
    revisions = itertools.count(1)

    def answers(subject: str) -> Iterable[Answer]:
        if "DIRECT" not in subject:
            return [json_answer(STREAM)]
        return [message(n := next(revisions), key=f"peers.{n}"), (END_OF_BATCH % 9, b"")]

    async with hostile_server(answers) as where, open_session(where, Random()) as session:
        with pytest.raises(NatsError, match="10000 bytes of memory"):
            await Follower(lambda _: None, Random(0)).resync(Bucket(session, "b"))


@pytest.mark.parametrize(
    "info",
    [
        INFO | {"version": "not one"},
        INFO | {"max_payload": "x"},
        INFO | {"connect_urls": [7]},
        INFO | {"tls_verify": []},
        [],
        7,
    ],
)
async def test_an_info_of_any_kind_is_at_most_a_nats_error(info: object) -> None:
    async with hostile_server(lambda _: [json_answer(STREAM)], info) as where:
        try:
            async with open_session(where, Random()) as session:
                assert (await Bucket(session, "b").info()).last_revision == 5
        except NatsError:
            pass


scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=5))
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
members = st.sampled_from(
    ["error", "message", "seq", "err_code", "subject", "data", "hdrs", "state", "config", "created"]
)
objects = st.dictionaries(members, json_values | st.dictionaries(members, json_values))
block_parts = [b"NATS/1.0", b" 204", b" 404", b"\r\n", b"Nats-Sequence: 3", b"Nats-Subject: $KV.b.peers.x", b"\xff"]
blocks = st.none() | st.lists(st.sampled_from(block_parts) | st.binary(max_size=3), max_size=9).map(b"".join)
one_answer = st.tuples(blocks, st.binary() | st.builds(lambda value: json_answer(value)[1], objects))


@settings(max_examples=max_examples(200))
@given(st.lists(one_answer, max_size=3), st.binary(max_size=20))
def test_no_answers_raise_another_error(given: list[Answer], key: bytes) -> None:
    """Each request that a bucket makes gets these answers, and the end of a batch after them."""

    async def ask() -> None:
        answers = [*given, (END_OF_BATCH % 0, b"")]
        async with hostile_server(lambda _: answers) as where, open_session(where, Random()) as session:
            bucket = Bucket(session, "b")
            text = key.hex()
            requests = (bucket.info, lambda: bucket.page(1), lambda: bucket.first_from(1), lambda: bucket.get(text))
            for request in (*requests, lambda: bucket.put(text, b"value", expected=0)):
                try:
                    await request()
                except NatsError as error:
                    assert str(error)  # noqa: PT017 - some random answers are valid

    asyncio.run(ask())
