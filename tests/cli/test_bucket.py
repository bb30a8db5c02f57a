"""`ikto bucket` makes, shows and upgrades a bucket on a real nats-server."""

import asyncio
import json
from collections.abc import Callable
from random import Random

import pytest
from msgspec.structs import replace

from ikto_core.cli.main import run
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import encode_record
from ikto_core.store.bucket import Bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from tests.samples import record as sample


@pytest.fixture
def ikto(shared_server: NatsServer, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command against the shared server; return exit code, stdout and stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run([*arguments, "--nats-url", shared_server.url])
        return code, *capsys.readouterr()

    return call


Ikto = Callable[..., tuple[int, str, str]]


def test_create_makes_a_bucket_and_may_be_repeated(ikto: Ikto) -> None:
    arguments = ("bucket", "create", "--nats-kv", "cli-create", "-m", "fd20::/16", "-p", "56")
    assert ikto(*arguments) == (0, "cli-create: created, mesh fd20::/16 in subnets of length 56\n", "")
    assert ikto(*arguments) == (0, "cli-create: there already, mesh fd20::/16 in subnets of length 56\n", "")


def test_create_refuses_another_mesh(ikto: Ikto) -> None:
    ikto("bucket", "create", "--nats-kv", "cli-other", "-m", "fd20::/16")
    code, _, told = ikto("bucket", "create", "--nats-kv", "cli-other", "-m", "fd30::/16")
    assert code == 3
    assert "mesh_cidr is 'fd20::/16', not 'fd30::/16'" in told


def test_show_tells_what_a_bucket_is(ikto: Ikto) -> None:
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


def test_a_bucket_for_leases_is_added_when_it_is_asked_for(ikto: Ikto) -> None:
    arguments = ("bucket", "create", "--nats-kv", "cli-leased")
    assert "leases" not in ikto(*arguments)[1]
    for outcome in ("created", "there already"):
        assert ikto(*arguments, "--leases")[1].endswith(f"\ncli-leased-leases: {outcome}, for leases\n")


def test_sweep_removes_what_ran_out(ikto: Ikto, shared_server: NatsServer) -> None:
    record = replace(sample("10.0.0.16/28", instance="run-1"), lease=1)

    async def leave_a_record_behind() -> None:
        async with open_session(NatsSettings(servers=(shared_server.url,)), Random()) as session:
            bucket = Bucket(session, "cli-sweep")
            await bucket.put(record.key, encode_record(record), expected=0)
            await bucket.renewals().put(record.key, b"run-1", expected=0)

    ikto("bucket", "create", "--nats-kv", "cli-sweep", "--leases")
    asyncio.run(leave_a_record_behind())
    told = ""
    while not told:  # the lease takes a second
        code, told, _ = ikto("bucket", "sweep", "--now", "--nats-kv", "cli-sweep")
        assert code == 0
    assert told == "10.0.0.16/28: removed, its lease of 1 s ran out\n"
    assert ikto("bucket", "sweep", "--now", "--nats-kv", "cli-sweep") == (0, "", "")


def test_upgrade_says_whether_it_had_to(ikto: Ikto, shared_server: NatsServer) -> None:
    async def make_as_the_original_does() -> None:
        async with open_session(NatsSettings(servers=(shared_server.url,)), Random()) as session:
            await session.client.jetstream().create_key_value(bucket="cli-legacy")

    asyncio.run(make_as_the_original_does())
    assert ikto("bucket", "upgrade", "--nats-kv", "cli-legacy") == (0, "cli-legacy: upgraded\n", "")
    assert ikto("bucket", "upgrade", "--nats-kv", "cli-legacy") == (0, "cli-legacy: nothing to do\n", "")


@pytest.mark.parametrize("command", ["show", "upgrade"])
def test_a_missing_bucket_has_a_code_of_its_own(ikto: Ikto, command: str) -> None:
    code, _, told = ikto("bucket", command, "--nats-kv", "cli-missing")
    assert code == 5
    assert "there is no bucket 'cli-missing'" in told


def test_no_server_has_a_code_of_its_own_and_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bucket", "show", "--json", "--nats-url", "nats://127.0.0.1:1"]) == 5
    out, told = capfd.readouterr()
    assert out == ""
    assert told.count("\n") == 1
    assert "can't be reached" in told


def test_what_the_environment_says_counts(
    shared_server: NatsServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKTO_NATS_URL", shared_server.url)
    monkeypatch.setenv("IKTO_NATS_KV", "cli-environ")
    assert run(["bucket", "create"]) == 0
    assert "cli-environ: created" in capsys.readouterr().out


def test_more_copies_than_servers_is_told_with_a_way_out(ikto: Ikto) -> None:
    code, _, told = ikto("bucket", "create", "--nats-kv", "cli-replicas", "--replicas", "3")
    assert code == 5
    assert "--replicas 1" in told
