"""`ikto node` and `ikto key-of` on a real nats-server, from a host without an agent."""

import asyncio
import io
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import NamedTuple

import click
import pytest
from msgspec.structs import replace

from ikto_core.cli.main import run
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.records import encode_record
from ikto_core.mesh.settings import MeshSettings
from ikto_core.roster.listing import NodeRecord
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket, create_renewals
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings
from tests.faults.logins import PASSWORD, users
from tests.forked import END_WITH_TESTS
from tests.samples import KEY, KEYS, OTHER_KEY, THIRD_KEY, record, signed

ONE = replace(record("10.0.0.32/28", name="one", instance="run-1"), agent="ikto 0.4", lease=600)
TWO = record("10.0.0.48/28", OTHER_KEY, name="two\x1b[31m")
TWIN = record("10.0.0.64/28", THIRD_KEY, name="one")
FAR = record("10.0.9.0/28", KEYS[4], name="far")
MESH = MeshSettings("10.0.0.0/24", 28)


class Cli(NamedTuple):
    """The commands on a bucket of the test's own."""

    server: NatsServer
    bucket: str
    capsys: pytest.CaptureFixture[str]
    login: Mapping[str, str] = MappingProxyType({})

    def run(self, *arguments: str) -> tuple[int, str, str]:
        given = [f"--nats-{name}={text}" for name, text in self.login.items()]
        code = run([*arguments, "--nats-url", self.server.url, "--nats-kv", self.bucket, *given])
        return code, *self.capsys.readouterr()

    def listed(self) -> dict[str, NodeRecord]:
        found = json.loads(self.run("node", "list", "--json")[1])
        return {each["allowed_ip"]: NodeRecord(**each) for each in found}

    def write(self, values: dict[str, bytes]) -> None:
        async def write_all() -> None:
            login = {f"nats_{name}": text for name, text in self.login.items()}
            settings = NatsSettings(
                servers=(self.server.url,), user=login.get("nats_user", ""), password=login.get("nats_password", "")
            )
            async with open_session(settings, Random()) as session:
                bucket = Bucket(session, self.bucket)
                if await create_bucket(bucket, MESH, replicas=1, memory=False):
                    await create_renewals(bucket)
                    await bucket.renewals().put(ONE.key, b"run-1", expected=0)
                for key, value in values.items():
                    entry = await bucket.get(key)
                    await bucket.put(key, value, expected=entry.revision if entry else 0)

        asyncio.run(write_all())


@pytest.fixture
def cli(shared_server: NatsServer, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Cli:
    name = "".join(character if character.isalnum() else "-" for character in request.node.name)
    made = Cli(shared_server, f"cli-{name}", capsys)
    made.write({ONE.key: encode_record(ONE), TWO.key: signed(TWO, bucket=made.bucket), FAR.key: encode_record(FAR)})
    return made


def test_list_has_a_line_for_each_record(cli: Cli) -> None:
    code, shown, _ = cli.run("node", "list")
    title, header, one, two, far, _, quarantined, reason = shown.splitlines()
    assert code == 0
    assert title == "Records (3):"
    assert header.split() == ["NAME", "SUBNET", "KEY", "STATE", "WRITTEN"]
    assert one.split()[:3] == ["one", "10.0.0.32/28", KEY.text[:8]]
    assert re.search(r"  accepted     \d+ s ago$", one)
    assert two.split()[0] == "two\\x1b[31m"
    assert far.split()[3] == "quarantined"
    assert quarantined == "Quarantined records (1):"
    assert reason == "  10.0.9.0/28  10.0.9.0/28 is outside the mesh 10.0.0.0/24"
    assert max(map(len, (header, one, two))) <= 80


def test_the_wide_list_has_everything(cli: Cli) -> None:
    _, shown, _ = cli.run("node", "list", "-o", "wide")
    one = next(line for line in shown.splitlines() if "10.0.0.32/28" in line)
    for part in (KEY.text, "192.0.2.1:51820", "ikto 0.4", "600 s: renewed within its lease", "none", "accepted"):
        assert part in one
    assert "signed" in next(line for line in shown.splitlines() if "10.0.0.48/28" in line)


def test_json_is_the_same_by_both_options_and_has_times_as_rfc_3339(cli: Cli) -> None:
    assert cli.run("node", "list", "-o", "json")[1] == cli.run("node", "list", "--json")[1]
    found = cli.listed()["10.0.0.32/28"]
    assert (found.name, found.public_key, found.accepted, found.lease_s) == ("one", KEY.text, True, 600)
    assert "T" in found.written_at
    assert found.written_at.endswith("Z")


def test_show_finds_a_node_by_each_of_its_names(cli: Cli) -> None:
    for which in ("two\x1b[31m", "10.0.0.48/28", "10.0.0.50"):
        code, shown, _ = cli.run("node", "show", which)
        assert code == 0
        assert f"public key  {OTHER_KEY}" in shown
        assert "proof       signed" in shown
    code, _, stderr = cli.run("node", "show", "nobody")
    assert code == 1
    assert "no record in the bucket has the name, subnet, address, endpoint or public key 'nobody'" in stderr


def test_where_proofs_are_required_the_verdict_is_another(cli: Cli) -> None:
    _, shown, _ = cli.run("node", "show", "one", "--record-trust", "proved")
    assert "quarantined: it has no proof, which record_trust requires" in shown


def test_remove_withdraws_record_and_lease_and_says_what_to_do(cli: Cli) -> None:
    code, shown, _ = cli.run("node", "remove", "one", "--yes")
    assert code == 0
    assert "This removes 10.0.0.32/28 of 'one' from bucket" in shown
    assert "revoke the NATS user" in shown
    assert "removed: 10.0.0.32/28 of 'one'\nNodes remove it from their devices now." in shown
    assert set(cli.listed()) == {"10.0.0.48/28", "10.0.9.0/28"}
    cli.write({ONE.key: encode_record(ONE)})
    assert not cli.listed()["10.0.0.32/28"].renewed_at


def test_removing_a_signed_record_says_that_nodes_keep_it_for_a_while(cli: Cli) -> None:
    code, shown, _ = cli.run("node", "remove", "10.0.0.48/28", "-y")
    assert code == 0
    assert "keep a signed record for ten minutes" in shown


def test_without_a_terminal_nothing_is_removed_unless_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    code, _, stderr = cli.run("node", "remove", "one")
    assert code == 2
    assert "--yes" in stderr
    assert "10.0.0.32/28" in cli.listed()


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, False), ("n", 1, True), ("", 1, True)])
def test_on_a_terminal_the_operator_is_asked(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    found, shown, _ = cli.run("node", "remove", "one")
    assert found == code
    assert "Remove? [y/N]" in shown
    assert ("nothing was removed" in shown) is left
    assert ("10.0.0.32/28" in cli.listed()) is left


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_name_of_several_nodes_is_refused_with_their_keys(cli: Cli) -> None:
    cli.write({TWIN.key: encode_record(TWIN)})
    code, _, stderr = cli.run("node", "remove", "one", "--yes")
    assert code == 1
    assert f"{KEY} has 10.0.0.32/28; {THIRD_KEY} has 10.0.0.64/28" in stderr
    assert {"10.0.0.32/28", "10.0.0.64/28"} <= set(cli.listed())


def test_a_record_that_is_written_while_the_operator_reads_stays(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def written_meanwhile(*_: object, **__: object) -> bool:
        cli.write({ONE.key: encode_record(replace(ONE, name="newer"))})
        return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(click, "confirm", written_meanwhile)
    code, _, stderr = cli.run("node", "remove", "one")
    assert code == 1
    assert "10.0.0.32/28: written again since revision" in stderr
    assert cli.listed()["10.0.0.32/28"].name == "newer"


def test_credentials_that_may_not_write_are_refused_and_nothing_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    denied = users('publish: { deny: ["$KV.>"] }')
    with running_server(tmp_path, denied, exec_prefix=END_WITH_TESTS) as server:
        admin = Cli(server, "refused", capsys, {"user": "admin", "password": PASSWORD})
        admin.write({ONE.key: encode_record(ONE)})
        code, _, stderr = admin._replace(login={"user": "node", "password": PASSWORD}).run(
            "node", "remove", "one", "-y"
        )
        assert code == 5
        assert "denied this user the publication" in stderr
        assert "10.0.0.32/28" in admin.listed()
        code, _, stderr = admin._replace(login={"user": "node", "password": "wrong"}).run("node", "list")
        assert code == 5


@pytest.mark.parametrize("text", ["fd10:1::/48", "fd10:1::5", "fd10:0001:0::/48"])
def test_key_of_prints_key_and_subject_in_the_exact_case(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["key-of", text]) == 0
    assert capsys.readouterr().out == (
        "subnet: fd10:1::/48\n"
        "key: peers.ZmQxMDoxOjovNDg=\n"
        "subject: $KV.ikto-mesh.peers.ZmQxMDoxOjovNDg=\n"
    )  # fmt: skip


def test_key_of_with_an_api_prefix_prints_the_subject_of_the_node(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["key-of", "fd10:1::/48", "--json", "--nats-api-prefix", "MESH.API", "--nats-kv", "other"]
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["subject"] == "MESH.API.$KV.other.peers.ZmQxMDoxOjovNDg="


@pytest.mark.parametrize("text", ["fd10:1::/56", "fd20::/48", "nonsense", "fd10::/x"])
def test_key_of_refuses_what_is_no_subnet_of_the_mesh(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["key-of", text]) == 3
    assert capsys.readouterr().err.startswith("ikto: ")


def test_the_json_of_a_removal_can_not_control_a_terminal(cli: Cli) -> None:
    cli.write({FAR.key: encode_record(replace(FAR, name="far\x9b2J\u202e"))})
    code, shown, _ = cli.run("node", "remove", "10.0.9.0/28", "--yes", "--json")
    assert code == 0
    assert shown.isascii()
    assert json.loads(shown)["removed"][0]["name"] == "far\x9b2J\u202e"
