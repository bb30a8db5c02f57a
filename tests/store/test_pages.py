"""What pages cost the server, and that they have the bucket's messages and no others."""

import asyncio
import json
from random import Random

import pytest
from nats.js.api import StreamConfig

from ikto_core.mesh.view import Entry
from ikto_core.store import bucket as bucket_module
from ikto_core.store.bucket import Bucket
from ikto_core.store.follower import Follower
from ikto_core.store.session import Session


@pytest.fixture
def page_requests(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The requests for pages that this session has sent."""
    sent: list[dict[str, object]] = []
    publish = session._publish

    async def noted(subject: str, payload: bytes, *rest: object) -> None:
        if ".DIRECT.GET." in subject:
            sent.append(json.loads(payload))
        await publish(subject, payload, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "_publish", noted)
    return sent


async def add_stream(session: Session, name: str, *subjects: str) -> Bucket:
    await session.client.jetstream().add_stream(StreamConfig(f"KV_{name}", subjects=list(subjects), allow_direct=True))
    return Bucket(session, name)


async def read(bucket: Bucket) -> dict[str, Entry]:
    """Return the table of a new follower."""
    follower = Follower(lambda _: None, Random(0))
    await follower.resync(bucket)
    return follower.table


async def test_a_page_of_a_stream_of_its_own_is_read_without_a_filter(
    bucket: Bucket, page_requests: list[dict[str, object]]
) -> None:
    """With a filter, the server searches and counts subjects for each page."""
    await bucket.put("peers.a", b"one", expected=0)
    assert (await read(bucket)).keys() == {"mesh", "peers.a"}
    assert [request["next_by_subj"] for request in page_requests] == [">"]


async def test_a_walk_of_3000_records_takes_two_pages(
    bucket: Bucket, session: Session, page_requests: list[dict[str, object]]
) -> None:
    for number in range(3000):
        await session.client.publish(f"$KV.{bucket.name}.peers.{number}", bytes(200))
    async with asyncio.timeout(60):
        while (await bucket.info()).last_revision < 3001:  # the server stores what it has received
            await asyncio.sleep(0.01)
    assert len(await read(bucket)) == 3001
    assert len(page_requests) == 2


async def test_what_a_stream_has_on_other_subjects_is_not_read(
    session: Session, page_requests: list[dict[str, object]]
) -> None:
    bucket = await add_stream(session, "shared", "$KV.shared.>", "shared")
    await session.client.jetstream().publish("shared", b"junk")
    await bucket.put("peers.a", b"one", expected=0)
    assert (await read(bucket)).keys() == {"peers.a"}
    assert {request["next_by_subj"] for request in page_requests} == {"$KV.shared.>"}


async def test_what_a_stream_had_on_other_subjects_once_is_not_read(
    session: Session, page_requests: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the first such message on, pages are read with a filter."""
    monkeypatch.setattr(bucket_module, "PAGE_SIZE", 2)
    bucket = await add_stream(session, "former", "$KV.former.>", "former")
    await bucket.put("peers.a", b"one", expected=0)
    for subject in ("former", "former", "former", "$KV.former.peers.b"):
        await session.client.jetstream().publish(subject, b"junk")
    await session.client.jetstream().update_stream(
        StreamConfig("KV_former", subjects=["$KV.former.>"], allow_direct=True)
    )
    assert (await read(bucket)).keys() == {"peers.a", "peers.b"}
    await bucket.info()
    await bucket.page(5)
    assert [request["next_by_subj"] for request in page_requests] == [">", "$KV.former.>", "$KV.former.>"]
