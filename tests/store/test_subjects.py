"""Buckets in another JetStream domain, behind a leaf node, and the subjects that lead there."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from ikto_core.errors import BucketMissingError, NatsError
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.interfaces import Message
from ikto_core.store.session import NatsSettings, Session
from ikto_core.store.subjects import Subjects, api_prefix
from tests.forked import END_WITH_TESTS

MESH = MeshSettings("fd10::/16", 48)


@pytest.mark.parametrize(
    ("domain", "prefix", "request_subject", "write_subject"),
    [
        ("", "", "$JS.API.STREAM.INFO.KV_b", "$KV.b.peers.a"),
        ("hub", "", "$JS.hub.API.STREAM.INFO.KV_b", "$JS.hub.API.$KV.b.peers.a"),
        ("", "MESH.API", "MESH.API.STREAM.INFO.KV_b", "MESH.API.$KV.b.peers.a"),
    ],
)
def test_a_domain_or_prefix_begins_every_subject_of_a_request(
    domain: str, prefix: str, request_subject: str, write_subject: str
) -> None:
    subjects = Subjects("b", api_prefix(domain, prefix))
    assert (subjects.request("STREAM.INFO"), subjects.write("peers.a")) == (request_subject, write_subject)
    assert (subjects.stored, subjects.pushes) == ("$KV.b.>", "ikto.b.>")


class Servers(NamedTuple):
    """A hub with a JetStream domain, and a leaf node with another one."""

    hub: NatsServer
    leaf: NatsServer


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    leaf_port = free_port()
    hub_config = (
        f'jetstream {{ store_dir: "{tmp_path}/a", domain: hub }}\nleafnodes {{ listen: "127.0.0.1:{leaf_port}" }}'
    )
    remote = f'leafnodes {{ remotes: [{{ url: "nats://127.0.0.1:{leaf_port}" }}] }}'
    leaf_config = f'jetstream {{ store_dir: "{tmp_path}/b", domain: leaf }}\n{remote}'
    with (
        running_server(tmp_path / "hub", hub_config, exec_prefix=END_WITH_TESTS) as hub,
        running_server(tmp_path / "leaf", leaf_config, exec_prefix=END_WITH_TESTS) as leaf,
    ):
        yield Servers(hub, leaf)


async def wait_until_linked(session: Session) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await Bucket(session, "b").stream_info()
            except NatsError:  # no responder: the leaf node is not connected yet
                await asyncio.sleep(0.02)
            else:
                return


async def test_behind_a_leaf_node_a_bucket_of_the_hub_is_read_written_and_followed(servers: Servers) -> None:
    through_leaf = NatsSettings(servers=(servers.leaf.url,), api_prefix=api_prefix("hub", ""))
    async with (
        open_session(NatsSettings(servers=(servers.hub.url,)), Random()) as at_hub,
        open_session(through_leaf, Random()) as at_leaf,
    ):
        created, bucket = Bucket(at_hub, "b"), Bucket(at_leaf, "b")
        await create_bucket(created, MESH, replicas=1, memory=False)
        await wait_until_linked(at_leaf)
        pushed: asyncio.Queue[Message] = asyncio.Queue()
        await at_leaf.subscribe(bucket.push_subject, lambda m: pushed.put_nowait(bucket.push(m)))
        revision = await bucket.put("peers.a", b"one", expected=0)
        push = await asyncio.wait_for(pushed.get(), 60)
        assert (push.key, push.revision, push.value) == ("peers.a", revision, b"one")
        assert [message.key for message in (await bucket.page(1)).messages] == ["mesh", "peers.a"]
        assert await bucket.get("peers.a") == await created.get("peers.a")


async def test_a_missing_bucket_names_the_servers_own_domain(servers: Servers) -> None:
    """Else `ikto bucket create`, run on the leaf node, would found a second mesh."""
    async with open_session(NatsSettings(servers=(servers.leaf.url,)), Random()) as session:
        with pytest.raises(BucketMissingError) as raised:
            await Bucket(session, "b").info()
    assert "'leaf'" in raised.value.hint
    assert "set nats_domain; otherwise create it: ikto bucket create" in raised.value.hint


async def test_an_unknown_domain_is_an_error_with_a_hint(shared_server: NatsServer) -> None:
    settings = NatsSettings(servers=(shared_server.url,), api_prefix=api_prefix("nowhere", ""))
    async with open_session(settings, Random()) as session:
        with pytest.raises(NatsError, match=r"no responder on \$JS\.nowhere\.API") as raised:
            await Bucket(session, "b").info()
    assert "nats_domain" in raised.value.hint
