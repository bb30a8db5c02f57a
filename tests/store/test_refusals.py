"""What NATS refuses is explained, with what to do about it, on a real nats-server."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from ikto_core.errors import NatsError, RevisionConflictError
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.api import StreamConfig
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.refusals import mirror_refusal
from ikto_core.store.session import NatsSettings, Session
from ikto_core.store.subjects import api_prefix
from tests.forked import END_WITH_TESTS
from tests.store.test_subjects import Servers, servers, wait_until_linked  # noqa: F401 - a fixture

MESH = MeshSettings("fd10::/16", 48)
ACCOUNTS = """accounts {
  A { users: [{ user: a, password: p }] }
  B { jetstream: enabled, users: [{ user: b, password: p }] }
}"""
"""Account A has no JetStream."""


async def refused(session: Session) -> NatsError:
    with pytest.raises(NatsError) as raised:
        await Bucket(session, "b").info()
    return raised.value


async def test_an_account_without_jetstream_is_named_with_what_to_do(tmp_path: Path) -> None:
    with running_server(tmp_path, ACCOUNTS, exec_prefix=END_WITH_TESTS) as server:
        for user, works in (("a", False), ("b", True)):
            async with open_session(NatsSettings(servers=(server.url,), user=user, password="p"), Random()) as session:
                error = await refused(session)
                assert ("JetStream not enabled for account" in str(error)) is not works
                assert ("enable JetStream for this account" in error.hint) is not works


async def test_a_server_without_jetstream_is_named_with_what_to_do(tmp_path: Path) -> None:
    with running_server(tmp_path, "jetstream: disabled", exec_prefix=END_WITH_TESTS) as server:
        async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
            error = await refused(session)
    assert "check that JetStream is enabled" in error.hint


async def mirror(bucket: Bucket, origin: Bucket, **external: Any) -> None:
    source = {"name": origin.stream} | ({"external": external} if external else {})
    settings = {"mirror": source, "allow_direct": True, "mirror_direct": True, "max_msgs_per_subject": 1}
    await bucket.call("STREAM.CREATE", {"name": bucket.stream} | settings)


async def test_a_mirror_is_named_with_its_original(session: Session, bucket: Bucket) -> None:
    mirrored = Bucket(session, f"{bucket.name}-mirror")
    await mirror(mirrored, bucket)
    with pytest.raises(NatsError, match=f"is a mirror of the stream {bucket.stream}: no node can write") as raised:
        await mirrored.put("peers.a", b"one", expected=0)
    assert raised.value.hint.startswith(f"set nats_kv to '{bucket.name}' on all nodes")


async def test_a_mirror_in_a_leaf_node_that_lags_is_named_though_writes_reach_the_original(
    servers: Servers,  # noqa: F811
) -> None:
    """Its reads come from the mirror, its writes go to the hub: every write looks like a lost race."""
    at_the_hub = NatsSettings(servers=(servers.leaf.url,), api_prefix=api_prefix("hub", ""))
    async with (
        open_session(NatsSettings(servers=(servers.hub.url,)), Random()) as at_hub,
        open_session(at_the_hub, Random()) as through_leaf,
        open_session(NatsSettings(servers=(servers.leaf.url,)), Random()) as at_leaf,
    ):
        origin, mirrored = Bucket(at_hub, "b"), Bucket(at_leaf, "b")
        await create_bucket(origin, MESH, replicas=1, memory=False)
        await wait_until_linked(through_leaf)
        await mirror(mirrored, origin, api="$JS.hub.API")
        revision = await origin.put("peers.a", b"one", expected=0)
        with pytest.raises(NatsError, match="is a mirror of the stream KV_b in the JetStream domain 'hub'") as raised:
            await mirrored.put("peers.a", b"two", expected=revision + 5)
        assert not isinstance(raised.value, RevisionConflictError)
        assert "nats_domain to 'hub'" in raised.value.hint


@pytest.mark.parametrize("mirror", [{}, {"external": None}, {"name": 7, "external": {"api": 7}}, {"external": [1]}])
def test_a_mirror_of_any_form_is_one(mirror: dict[str, Any]) -> None:
    named = mirror_refusal("b", StreamConfig(mirror={"name": "KV_a"} | mirror))
    assert named
    assert "is a mirror" in str(named)


def test_a_bucket_that_is_no_mirror_is_none() -> None:
    assert mirror_refusal("b", StreamConfig()) is None


async def test_a_domain_that_no_leaf_node_links_is_named(servers: Servers) -> None:  # noqa: F811
    nowhere = NatsSettings(servers=(servers.leaf.url,), api_prefix=api_prefix("hubb", ""))
    async with open_session(nowhere, Random()) as session:
        error = await refused(session)
    assert "no server of the JetStream domain 'hubb' is linked to this one" in error.hint
    assert "this server's own is 'leaf'" in error.hint


async def test_an_api_prefix_that_is_not_imported_is_named(session: Session) -> None:
    settings = NatsSettings(servers=(session.server,), api_prefix="MESH.API.")
    async with open_session(settings, Random()) as other:
        error = await refused(other)
    assert "the account must import MESH.API.>" in error.hint
