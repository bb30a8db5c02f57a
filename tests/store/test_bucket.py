"""The bucket on a real nats-server fulfils its interfaces, BucketReader and RecordStore."""

import asyncio
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from ikto_core.errors import (
    BucketMissingError,
    IktoError,
    NatsDeniedError,
    NatsError,
    RevisionConflictError,
    WriteUnknownError,
)
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.settings import MESH_KEY, MeshSettings, read_settings
from ikto_core.mesh.view import Entry
from ikto_core.store import bucket as bucket_module
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.interfaces import Message, Page
from ikto_core.store.received import Received
from ikto_core.store.session import NatsSettings, Session

MESH = MeshSettings("fd10::/16", 48)


async def test_a_write_is_read_back_with_its_revision(bucket: Bucket) -> None:
    revision = await bucket.put("peers.a", b"one", expected=0)
    entry = await bucket.get("peers.a")
    assert entry
    assert (entry.revision, entry.value) == (revision, b"one")


async def test_a_write_at_another_revision_is_refused_and_changes_nothing(bucket: Bucket) -> None:
    revision = await bucket.put("peers.a", b"one", expected=0)
    for wrong in (0, revision + 1):
        with pytest.raises(RevisionConflictError):
            await bucket.put("peers.a", b"two", expected=wrong)
    entry = await bucket.get("peers.a")
    assert entry
    assert entry.value == b"one"


async def test_a_deleted_key_reads_as_deleted_and_can_be_written_again(bucket: Bucket) -> None:
    written = await bucket.put("peers.a", b"one", expected=0)
    deleted = await bucket.put("peers.a", None, expected=written)
    entry = await bucket.get("peers.a")
    assert entry
    assert (entry.revision, entry.value) == (deleted, None)
    assert await bucket.put("peers.a", b"two", expected=deleted) == deleted + 1


async def test_a_key_never_written_is_absent(bucket: Bucket) -> None:
    assert await bucket.get("peers.nobody") is None


async def test_pages_walk_the_whole_bucket_in_order(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket_module, "PAGE_SIZE", 3)
    for number in range(7):
        await bucket.put(f"peers.{number}", b"v", expected=0)
    await bucket.put("peers.2", None, expected=4)
    walked: list[Message] = []
    complete = False
    while not complete:
        page = await bucket.page(walked[-1].revision + 1 if walked else 1)
        assert len(page.messages) <= 3
        walked += page.messages
        complete = page.complete
    assert [message.key for message in walked] == ["mesh"] + [f"peers.{n}" for n in (0, 1, 3, 4, 5, 6, 2)]
    assert walked[-1].value is None


async def test_a_push_equals_the_message_that_a_walk_reads(bucket: Bucket, session: Session) -> None:
    pushed: asyncio.Queue[Message] = asyncio.Queue()
    await session.subscribe(bucket.push_subject, lambda m: pushed.put_nowait(bucket.push(m)))
    first = await bucket.put("peers.a", b"one", expected=0)
    await bucket.put("peers.a", None, expected=first)
    await bucket.put("peers.b", b"two", expected=0)
    pushes = [await asyncio.wait_for(pushed.get(), 5) for _ in range(3)]
    assert list((await bucket.page(first + 1)).messages) == pushes[1:]


async def test_without_direct_get_the_walk_reads_from_the_leader(bucket: Bucket) -> None:
    await bucket.put("peers.a", b"one", expected=0)
    direct = await bucket.page(1)
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    await bucket.call("STREAM.UPDATE", config | {"allow_direct": False})
    await bucket.info()
    one = await bucket.page(1)
    two = await bucket.page(one.messages[-1].revision + 1)
    assert one.messages + two.messages == direct.messages
    assert await bucket.page(two.messages[-1].revision + 1) == Page((), complete=True)


async def test_first_from_returns_the_next_message_at_the_leader(bucket: Bucket) -> None:
    first = await bucket.put("peers.a", b"one", expected=0)
    second = await bucket.put("peers.a", b"two", expected=first)
    following = await bucket.first_from(first)
    assert following
    assert (following.revision, following.value) == (second, b"two")
    assert await bucket.first_from(second + 1) is None


async def test_a_missing_bucket_is_reported_with_the_command_that_creates_it(session: Session) -> None:
    with pytest.raises(BucketMissingError, match="no bucket 'nowhere'") as raised:
        await Bucket(session, "nowhere").info()
    assert "ikto bucket create" in raised.value.hint


async def test_create_can_be_repeated_and_keeps_the_records(bucket: Bucket) -> None:
    await bucket.put("peers.a", b"one", expected=0)
    assert not await create_bucket(bucket, MESH, replicas=1, memory=False)
    assert read_settings(await bucket.get(MESH_KEY)) == MESH
    assert await bucket.get("peers.a")


async def test_create_refuses_a_bucket_of_another_mesh(bucket: Bucket) -> None:
    with pytest.raises(IktoError, match="subnet_prefix is 48, not 56"):
        await create_bucket(bucket, MeshSettings("fd10::/16", 56), replicas=1, memory=False)


async def test_nats_own_client_and_ikto_read_what_the_other_writes(bucket: Bucket, session: Session) -> None:
    kv = await session.client.jetstream().key_value(bucket.name)
    await bucket.put("peers.a", b"written by ikto", expected=0)
    assert (await kv.get("peers.a")).value == b"written by ikto"
    await kv.delete("peers.a")
    await kv.put("peers.b", b"written by nats-py")
    deleted, other = await bucket.get("peers.a"), await bucket.get("peers.b")
    assert isinstance(deleted, Entry)
    assert deleted.value is None
    assert isinstance(other, Entry)
    assert other.value == b"written by nats-py"


PASSWORDS = """
authorization { users: [
  { user: admin, password: secret }
  { user: node, password: secret, permissions: {
      publish: ["$KV.b.peers.mine", "$JS.API.STREAM.INFO.KV_b", "$JS.API.DIRECT.GET.KV_b",
                "$JS.API.STREAM.MSG.GET.KV_b"]
      subscribe: ["_INBOX_node.>", "ikto.b.>"] } }
] }
"""


def node_settings(server: NatsServer, **changes: str) -> NatsSettings:
    given = {"user": "node", "password": "secret", "inbox": "_INBOX_node"} | changes
    return replace(NatsSettings(servers=(server.url,)), **given)


async def test_the_documented_permissions_suffice_and_a_denial_is_reported_at_once(tmp_path: Path) -> None:
    with running_server(tmp_path, PASSWORDS) as server:
        admin = NatsSettings(servers=(server.url,), user="admin", password="secret")
        async with open_session(admin, Random()) as session:
            await create_bucket(Bucket(session, "b"), MESH, replicas=1, memory=False)
        async with open_session(node_settings(server), Random()) as session:
            bucket = Bucket(session, "b")
            revision = await bucket.put("peers.mine", b"one", expected=0)
            assert (await bucket.info()).last_revision == revision
            assert await bucket.first_from(revision)
            assert len((await bucket.page(1)).messages) == 2
            assert await bucket.get("peers.mine")
            with pytest.raises(NatsDeniedError, match=r"peers\.theirs"):  # NoAnswerError if it waited for an answer
                await bucket.put("peers.theirs", b"two", expected=0)


async def test_a_wrong_password_is_a_denial_and_an_unreachable_server_is_not(tmp_path: Path) -> None:
    with running_server(tmp_path, PASSWORDS) as server:
        with pytest.raises(NatsDeniedError, match="refused the login"):
            async with open_session(node_settings(server, password="wrong"), Random()):
                pass
        server.stop()
        with pytest.raises(NatsError, match="can't be reached") as raised:
            async with open_session(node_settings(server), Random()):
                pass
        assert not isinstance(raised.value, NatsDeniedError)


async def test_a_write_in_flight_when_the_server_dies_is_unknown(own_server: NatsServer) -> None:
    async with open_session(NatsSettings(servers=(own_server.url,)), Random()) as session:
        bucket = Bucket(session, "b")
        await create_bucket(bucket, MESH, replicas=1, memory=False)
        own_server.kill()
        with pytest.raises(WriteUnknownError):
            await bucket.put("peers.a", b"one", expected=0)


async def test_any_reachable_server_of_the_list_is_used(shared_server: NatsServer) -> None:
    servers = ("nats://127.0.0.1:1", shared_server.url)
    for seed in range(3):
        async with open_session(NatsSettings(servers=servers), Random(seed)) as session:
            assert session.server == shared_server.url


async def test_a_raising_callback_does_not_stop_the_subscription(session: Session) -> None:
    seen: asyncio.Queue[bytes] = asyncio.Queue()

    def callback(message: Received) -> None:
        seen.put_nowait(message.data)
        raise RuntimeError("bad message")

    await session.subscribe("junk", callback)
    for text in (b"1", b"2"):
        await session.client.publish("junk", text)
    assert [await asyncio.wait_for(seen.get(), 5) for _ in range(2)] == [b"1", b"2"]
