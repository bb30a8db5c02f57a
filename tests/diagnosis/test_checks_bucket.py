"""Checks of the bucket fail if it is missing, misconfigured, of another mesh, or denied to this node."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from ikto_core.diagnosis.checks_bucket import mesh_finding, replica_findings
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import record_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from ikto_core.plugins.check_contract import Level
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.permissions import NodeAccess, node_permissions
from ikto_core.store.subjects import Subjects
from tests.conftest import MESH
from tests.diagnosis.checking import findings_of, levels, node_to_check, only_finding
from tests.forked import END_WITH_TESTS
from tests.store.credentials import settings

KEY = record_key("fd10:1::/48")
NEEDED = node_permissions(NodeAccess(name="node-a", key=KEY), Subjects("ikto-mesh"), leases=False, answers=False)
SUBJECTS = (*NEEDED.publish, "ikto.ikto-mesh.>")


def user(name: str, *denied: str) -> str:
    """A user who has all permissions that a node needs, but for the denied ones."""
    publish, subscribe = (
        ", ".join(f'"{s}"' for s in own if s not in denied) for own in (NEEDED.publish, NEEDED.subscribe)
    )
    return f"{{ user: {name}, password: pw, permissions: {{ publish: [{publish}], subscribe: [{subscribe}] }} }}"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with a user for each permission that is missing, and one who has all."""
    lacking = [user(f"lacks-{number}", subject) for number, subject in enumerate(SUBJECTS)]
    users = "\n".join(["{ user: admin, password: pw }", user("node"), *lacking])
    config = f"authorization {{ users: [ {users} ] }}"
    with running_server(tmp_path_factory.mktemp("strict"), config, exec_prefix=END_WITH_TESTS) as server:
        yield server


async def make_bucket(server: NatsServer) -> None:
    async with open_session(settings(server.url, nats_user="admin", nats_password="pw"), Random()) as session:
        await create_bucket(Bucket(session, "ikto-mesh"), MESH, replicas=1, memory=False)


async def test_a_missing_bucket_is_an_error(tmp_path: Path, shared_server: NatsServer) -> None:
    node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv="nowhere")
    found = await only_finding(node, "bucket")
    assert (found.level, found.fix) == (Level.ERROR, "create it: ikto bucket create")
    for other in ("permissions", "bucket-settings", "replicas", "mesh-settings", "subnet"):
        node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv="nowhere")
        assert (await only_finding(node, other)).level is Level.SKIPPED


async def test_a_bucket_as_ikto_makes_it_is_fine(tmp_path: Path, bucket: Bucket, shared_server: NatsServer) -> None:
    for check in ("bucket", "permissions", "bucket-settings", "replicas", "mesh-settings"):
        node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv=bucket.name)
        assert (await only_finding(node, check)).level is Level.OK, check


async def test_each_wrong_setting_is_a_warning_with_what_corrects_it(
    tmp_path: Path, bucket: Bucket, shared_server: NatsServer
) -> None:
    config = (await bucket.call("STREAM.INFO", {}))["config"]
    await bucket.call("STREAM.UPDATE", config | {"max_age": 7200 * 10**9, "max_msgs": 9})
    node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv=bucket.name)
    found = await findings_of(node, "bucket-settings")
    assert levels(found) == ["warning", "warning"]
    assert [finding.fix for finding in found] == ["run: ikto bucket upgrade"] * 2
    assert found[1].text.startswith("max_age is 7200000000000, not 0: records disappear after this time")


async def test_the_bucket_of_another_mesh_is_an_error(
    tmp_path: Path, bucket: Bucket, shared_server: NatsServer
) -> None:
    node = node_to_check(
        tmp_path,
        nats_url=shared_server.url,
        nats_kv=bucket.name,
        mesh_cidr="fd20::/16",
        private_address="fd20::1",
    )
    found = await only_finding(node, "mesh-settings")
    assert found.level is Level.ERROR
    assert "mesh_cidr is 'fd10::/16', not 'fd20::/16'" in found.text


async def test_a_bucket_that_does_not_name_its_mesh_is_a_warning(
    tmp_path: Path, bucket: Bucket, shared_server: NatsServer
) -> None:
    entry = await bucket.get(MESH_KEY)
    assert entry
    await bucket.put(MESH_KEY, None, expected=entry.revision)
    node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv=bucket.name)
    assert (await only_finding(node, "mesh-settings")).level is Level.WARNING


@pytest.mark.parametrize(
    ("found", "level"), [(None, "warning"), (MESH, "ok"), (MeshSettings("fd10::/16", 56), "error")]
)
def test_the_meshs_settings_are_compared(found: MeshSettings | None, level: str) -> None:
    assert mesh_finding(found, MESH).level.value == level


@pytest.mark.parametrize("number", range(len(SUBJECTS)), ids=lambda number: SUBJECTS[number])
async def test_each_missing_permission_is_named(tmp_path: Path, strict: NatsServer, number: int) -> None:
    await make_bucket(strict)
    login: dict[str, Any] = {"nats_url": strict.url, "nats_user": f"lacks-{number}", "nats_password": "pw"}
    found = await findings_of(node_to_check(tmp_path, **login), "permissions")
    assert levels(found) == ["error"]
    assert SUBJECTS[number].lower() in found[0].text.lower()


async def test_with_the_permissions_of_a_node_nothing_is_missing(tmp_path: Path, strict: NatsServer) -> None:
    await make_bucket(strict)
    node = node_to_check(tmp_path, nats_url=strict.url, nats_user="node", nats_password="pw")
    assert levels(await findings_of(node, "permissions")) == ["ok"]


async def test_permissions_are_tried_and_nothing_is_written(
    tmp_path: Path, bucket: Bucket, shared_server: NatsServer
) -> None:
    for entry in (None, b"{}"):  # a record that was never there, and one that is
        if entry:
            await bucket.put(KEY, entry, expected=0)
        before = await bucket.get(KEY), (await bucket.stream_info()).state.last_seq
        node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv=bucket.name)
        assert levels(await findings_of(node, "permissions")) == ["ok"]
        assert (await bucket.get(KEY), (await bucket.stream_info()).state.last_seq) == before


async def test_a_node_that_leases_needs_the_bucket_for_leases(
    tmp_path: Path, bucket: Bucket, shared_server: NatsServer
) -> None:
    node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv=bucket.name, lease="24h")
    found = await only_finding(node, "permissions")
    assert found.level is Level.ERROR
    assert "--leases" in found.fix


COPIES = {"name": "C1", "leader": "n1", "replicas": [{"name": "n2", "current": True}, {"name": "n3", "current": True}]}


@pytest.mark.parametrize(
    ("info", "level", "text"),
    [
        ({"config": {"num_replicas": 1}}, "ok", "the bucket has 1 copy"),
        ({"config": {"num_replicas": 3}, "cluster": COPIES}, "ok", "the bucket has 3 copies"),
        ({"config": {"num_replicas": 1}, "cluster": {"name": "C1", "leader": "n1"}}, "warning", "the loss of n1"),
        (
            {"config": {"num_replicas": 3}, "cluster": COPIES | {"replicas": [{"name": "n2", "offline": True}]}},
            "warning",
            "1 of 3 copies of the bucket are offline: n2",
        ),
        (
            {"config": {"num_replicas": 3}, "cluster": COPIES | {"replicas": [{"name": "n2", "current": False}]}},
            "warning",
            "are behind: n2",
        ),
        ({}, "ok", "the bucket has 1 copy"),
        ({"config": {"num_replicas": 1}, "cluster": {"replicas": ["x", None]}}, "ok", "1 copy"),
    ],
)
def test_the_copies_of_the_bucket_are_judged(info: dict[str, object], level: str, text: str) -> None:
    (found,) = replica_findings(info)
    assert found.level.value == level
    assert text in found.text
