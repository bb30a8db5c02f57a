"""`ikto bucket` creates, shows, sweeps and upgrades a bucket on a real nats-server."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from ikto_core.cli.main import run
from ikto_core.lab.nats_cluster import running_cluster
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import encode_record
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from tests.agent_mesh import eventually
from tests.samples import record as sample


@pytest.fixture
def ikto(shared_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command against the shared server; return exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run([*arguments, "--nats-url", shared_server.url])
        return code, *capsys.readouterr()

    return call


Ikto = Callable[..., tuple[int, str, str]]


def test_create_can_be_repeated(ikto: Ikto) -> None:
    arguments = ("bucket", "create", "--nats-kv", "cli-create", "-m", "fd20::/16", "-p", "56")
    right = "cli-create: all settings are as they must be\n"
    assert ikto(*arguments) == (0, f"cli-create: created, mesh fd20::/16 in subnets of length 56\n{right}", "")
    assert ikto(*arguments) == (0, f"cli-create: already exists, mesh fd20::/16 in subnets of length 56\n{right}", "")


def test_create_says_what_differs_where_nats_refuses_to_change_it(ikto: Ikto) -> None:
    arguments = ("bucket", "create", "--nats-kv", "cli-differs")
    assert ikto(*arguments)[0] == 0
    code, _, stderr = ikto(*arguments, "--replicas", "3")
    assert code == 5
    assert "bucket 'cli-differs': num_replicas is 1, not 3: NATS refused" in stderr
    assert "a single server keeps one copy" in stderr
    code, _, stderr = ikto(*arguments, "--memory")
    assert code == 3
    assert "bucket 'cli-differs' exists, and is stored in a file, not in memory" in stderr
    assert "leave --memory out" in stderr
    assert ikto(*arguments, "--replicas", "1")[0] == 0


async def make_a_queue(server: NatsServer) -> None:
    async with open_session(NatsSettings(servers=(server.url,)), Random()) as session:
        bucket = Bucket(session, "cli-queue")
        stream = {"name": bucket.stream, "subjects": [bucket.write_subject], "retention": "workqueue"}
        await bucket.call("STREAM.CREATE", stream | {"allow_direct": True})


def test_create_fails_if_nats_refuses_to_correct_an_existing_bucket(ikto: Ikto, shared_server: NatsServer) -> None:
    asyncio.run(make_a_queue(shared_server))
    code, stdout, stderr = ikto("bucket", "create", "--nats-kv", "cli-queue")
    assert code == 5
    assert 'cli-queue: corrected: discard is "old", not "new"\n' in stdout
    assert "update can not change retention policy" in stdout
    assert stderr.startswith('ikto: bucket \'cli-queue\': retention is "workqueue", not "limits"')


def test_create_corrects_the_subjects_of_a_bucket_before_it_writes_the_mesh_settings(
    ikto: Ikto, shared_server: NatsServer
) -> None:
    async def create_without_mesh() -> None:
        async with open_session(NatsSettings(servers=(shared_server.url,)), Random()) as session:
            bucket = Bucket(session, "cli-subjects")
            stream = {"name": bucket.stream, "subjects": ["$KV.cli-subjects.wg.>"], "allow_direct": True}
            await bucket.call("STREAM.CREATE", stream)

    asyncio.run(create_without_mesh())
    code, stdout, stderr = ikto("bucket", "create", "--nats-kv", "cli-subjects", "-m", "fd20::/16")
    assert (code, stderr) == (0, "")
    assert stdout.count("cli-subjects: corrected: subjects is ") == 1
    assert "mesh cidr: fd20::/16\n" in ikto("bucket", "show", "--nats-kv", "cli-subjects")[1]


@pytest.mark.slow
def test_create_gives_an_existing_bucket_the_replicas_that_are_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def create(*arguments: str) -> str:
        run(["bucket", "create", "--nats-kv", "b", "--leases", *arguments, "--nats-url", cluster.url])
        return capsys.readouterr().out

    with running_cluster(tmp_path) as cluster:
        assert "b: created" in eventually(create)  # once leaders are elected
        changed = create("--replicas", "3")
        assert "b: corrected: num_replicas is 1, not 3\n" in changed
        assert "b-leases: corrected: num_replicas is 1, not 3\n" in changed
        for arguments in (("--replicas", "3"), ()):  # without the option the number stays
            assert "num_replicas" not in create(*arguments)
        run(["bucket", "show", "--nats-kv", "b", "--json", "--nats-url", cluster.url])
        assert json.loads(capsys.readouterr().out)["replicas"] == 3


def test_create_refuses_another_mesh(ikto: Ikto) -> None:
    ikto("bucket", "create", "--nats-kv", "cli-other", "-m", "fd20::/16")
    code, _, stderr = ikto("bucket", "create", "--nats-kv", "cli-other", "-m", "fd30::/16")
    assert code == 3
    assert "mesh_cidr is 'fd20::/16', not 'fd30::/16'" in stderr


def test_show_describes_the_bucket(ikto: Ikto) -> None:
    ikto("bucket", "create", "--nats-kv", "cli-show")
    code, shown, _ = ikto("bucket", "show", "--nats-kv", "cli-show", "--json")
    found = json.loads(shown)
    assert code == 0
    assert {name: found[name] for name in ("bucket", "mesh_cidr", "subnet_prefix", "records", "revision")} == {
        "bucket": "cli-show",
        "mesh_cidr": "fd10::/16",
        "subnet_prefix": 48,
        "records": 0,
        "revision": 1,
    }
    assert found["follows_by_push"] is True


def test_the_bucket_for_leases_is_created_only_with_the_option(ikto: Ikto) -> None:
    arguments = ("bucket", "create", "--nats-kv", "cli-leased")
    assert "leases" not in ikto(*arguments)[1]
    for outcome in ("created", "already exists"):
        assert f"\ncli-leased-leases: {outcome}, for leases\n" in ikto(*arguments, "--leases")[1]


def test_sweep_removes_expired_records(ikto: Ikto, shared_server: NatsServer) -> None:
    record = replace(sample("10.0.0.16/28", instance="run-1"), lease=1)

    async def write_a_leased_record() -> None:
        async with open_session(NatsSettings(servers=(shared_server.url,)), Random()) as session:
            bucket = Bucket(session, "cli-sweep")
            await bucket.put(record.key, encode_record(record), expected=0)
            await bucket.renewals().put(record.key, b"run-1", expected=0)

    ikto("bucket", "create", "--nats-kv", "cli-sweep", "--leases")
    asyncio.run(write_a_leased_record())
    stdout = ""
    while not stdout:  # the lease expires after a second
        code, stdout, _ = ikto("bucket", "sweep", "--now", "--nats-kv", "cli-sweep")
        assert code == 0
    assert stdout == "10.0.0.16/28: removed: its lease of 1 s expired\n"
    assert ikto("bucket", "sweep", "--now", "--nats-kv", "cli-sweep") == (0, "", "")


def test_upgrade_reports_whether_it_changed_the_bucket(ikto: Ikto, shared_server: NatsServer) -> None:
    async def create_as_ikto_0_3_0() -> None:
        async with open_session(NatsSettings(servers=(shared_server.url,)), Random()) as session:
            await session.client.jetstream().create_key_value(bucket="cli-legacy")

    asyncio.run(create_as_ikto_0_3_0())
    shown = ikto("bucket", "show", "--nats-kv", "cli-legacy")[1]
    rollup = "allow_rollup_hdrs is true, not false: one write with the header Nats-Rollup removes all records"
    assert f"cli-legacy: {rollup} (run: ikto bucket upgrade)\n" in shown
    code, said, _ = ikto("bucket", "upgrade", "--nats-kv", "cli-legacy")
    assert code == 0
    assert "cli-legacy: corrected: allow_rollup_hdrs is true, not false\n" in said
    again = ikto("bucket", "upgrade", "--nats-kv", "cli-legacy")
    assert again == (0, "cli-legacy: all settings are as they must be\n", "")
    assert json.loads(ikto("bucket", "show", "--nats-kv", "cli-legacy", "--json")[1])["findings"] == []


def test_show_names_what_can_not_be_corrected_and_what_to_do(ikto: Ikto) -> None:
    ikto("bucket", "create", "--nats-kv", "cli-memory", "--memory")
    (finding,) = json.loads(ikto("bucket", "show", "--nats-kv", "cli-memory", "--json")[1])["findings"]
    assert finding == {
        "bucket": "cli-memory",
        "setting": "storage",
        "found": "memory",
        "wanted": "file",
        "otherwise": "a restart of NATS empties the bucket",
        "correctable": False,
    }
    assert "create another one, and set nats_kv on all nodes" in ikto("bucket", "show", "--nats-kv", "cli-memory")[1]


@pytest.mark.parametrize("command", ["show", "upgrade"])
def test_a_missing_bucket_exits_5(ikto: Ikto, command: str) -> None:
    code, _, stderr = ikto("bucket", command, "--nats-kv", "cli-missing")
    assert code == 5
    assert "there is no bucket 'cli-missing'" in stderr


def test_an_unreachable_server_is_one_line_and_exits_5(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bucket", "show", "--json", "--nats-url", "nats://127.0.0.1:1"]) == 5
    out, stderr = capfd.readouterr()
    assert out == ""
    assert stderr.count("\n") == 1
    assert "can't be reached" in stderr


def test_environment_variables_are_used(
    shared_server: NatsServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKTO_NATS_URL", shared_server.url)
    monkeypatch.setenv("IKTO_NATS_KV", "cli-environ")
    assert run(["bucket", "create"]) == 0
    assert "cli-environ: created" in capsys.readouterr().out


def test_more_replicas_than_servers_is_an_error_with_a_hint(ikto: Ikto) -> None:
    code, _, stderr = ikto("bucket", "create", "--nats-kv", "cli-replicas", "--replicas", "3")
    assert code == 5
    assert "--replicas 1" in stderr


def test_the_operator_overrides_a_nodes_prefix_with_an_empty_one(ikto: Ikto, tmp_path: Path) -> None:
    """The configuration of a node in another account names the prefix of that account's imports."""
    config = tmp_path / "ikto.json"
    config.write_text('{"private_address": "auto", "nats_api_prefix": "MESH.API", "nats_kv": "cli-prefix"}')
    code, _, stderr = ikto("bucket", "create", "-c", str(config))
    assert code == 5
    assert "no responder on MESH.API.STREAM.INFO.KV_cli-prefix" in stderr
    assert ikto("bucket", "create", "-c", str(config), "--nats-api-prefix", "")[0] == 0
