"""A claim that NATS refuses for another reason than a race is tried once, and the error says why."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from ikto_core.errors import NatsError, RevisionConflictError
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.records import PeerRecord
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.received import header_size
from ikto_core.store.session import NatsSettings, Session
from tests.claim.test_claimant import WANTED, claimant, context
from tests.conftest import MESH
from tests.forked import END_WITH_TESTS
from tests.store.hostile_server import STREAM, Answer, hostile_server, json_answer

MAX_PAYLOAD = 2048


async def refused(bucket: Bucket, record: PeerRecord = WANTED) -> NatsError:
    """Return why a claim fails; it must write once."""
    writes, put = 0, bucket.put

    async def count(key: str, value: bytes | None, *, expected: int) -> int:
        nonlocal writes
        writes += 1
        return await put(key, value, expected=expected)

    bucket.put = count  # type: ignore[method-assign]
    with capture_logs() as logged, pytest.raises(NatsError) as raised:
        await claimant().claim(bucket, record, context(starting=True))
    assert writes == 1
    assert not [line for line in logged if line["event"] == "claim attempt repeated"]
    assert "attempts" not in str(raised.value)
    return raised.value


async def change(bucket: Bucket, **settings: Any) -> None:
    config: dict[str, Any] = (await bucket.call("STREAM.INFO", {}))["config"]
    await bucket.call("STREAM.UPDATE", config | settings)


@pytest.mark.parametrize(
    ("settings", "said", "hint"),
    [
        ({"sealed": True}, "sealed stream", "create another one"),
        ({"max_msgs": 1}, "maximum messages exceeded", "ikto bucket upgrade"),
        ({"max_bytes": 200}, "maximum bytes exceeded", "ikto bucket upgrade"),
        ({"max_msg_size": 100}, "message size exceeds maximum", "ikto bucket upgrade"),
    ],
)
async def test_a_bucket_that_takes_no_more_is_named(
    bucket: Bucket, settings: dict[str, Any], said: str, hint: str
) -> None:
    await change(bucket, **settings)
    error = await refused(bucket)
    assert said in str(error)
    assert hint in error.hint


async def test_a_mirror_is_named(session: Session, bucket: Bucket) -> None:
    mirrored = Bucket(session, f"{bucket.name}-mirror")
    mirror = {"mirror": {"name": bucket.stream}, "allow_direct": True, "mirror_direct": True}
    await mirrored.call("STREAM.CREATE", {"name": mirrored.stream, "max_msgs_per_subject": 1} | mirror)
    assert "is a mirror" in str(await refused(mirrored))


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Bucket]:
    """A bucket on a server with a small max_payload."""
    with running_server(tmp_path, f"max_payload: {MAX_PAYLOAD}", exec_prefix=END_WITH_TESTS) as server:
        async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
            await create_bucket(bucket := Bucket(session, "b"), MESH, replicas=1, memory=False)
            yield bucket


async def test_a_record_above_max_payload_is_named_with_the_limit(narrow: Bucket) -> None:
    error = await refused(narrow, replace(WANTED, name="n" * MAX_PAYLOAD))
    assert f"more than the {MAX_PAYLOAD} of max_payload on the server" in str(error)
    assert "raise max_payload" in error.hint


async def test_headers_count_for_max_payload_and_the_limit_itself_is_accepted(narrow: Bucket) -> None:
    """At one byte more the server would close the connection: "maximum payload violation"."""
    largest = MAX_PAYLOAD - header_size({"Nats-Expected-Last-Subject-Sequence": "0"})
    with pytest.raises(NatsError, match=f" has {MAX_PAYLOAD + 1} bytes"):
        await narrow.put("peers.a", b"x" * (largest + 1), expected=0)
    assert await narrow.put("peers.a", b"x" * largest, expected=0)


@pytest.mark.parametrize("code", [10071, 10164])
async def test_a_lost_race_is_one_with_the_code_of_a_replicated_stream_too(code: int) -> None:
    error = {"code": 400, "err_code": code, "description": "wrong last sequence"}

    def answers(subject: str) -> list[Answer]:
        return [json_answer({"error": error} if subject.startswith("$KV") else STREAM)]

    async with hostile_server(answers) as where, open_session(where, Random()) as session:
        with pytest.raises(RevisionConflictError):
            await Bucket(session, "b").put("peers.a", b"x", expected=0)
