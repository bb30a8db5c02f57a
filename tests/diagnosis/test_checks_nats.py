"""Checks of NATS fail if a server is away or refuses the login, without JetStream, and for expired credentials."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ikto_core.diagnosis.checks_nats import clock_finding, expiry_finding, server_findings
from ikto_core.errors import NatsDeniedError
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.plugins.check_contract import Finding, Level
from ikto_core.store.bucket import Bucket
from tests.diagnosis.checking import findings_of, levels, node_to_check, only_finding
from tests.forked import END_WITH_TESTS
from tests.store.credentials import Operator

OPERATOR = Operator()
USERS = """
accounts {
  WITH { jetstream: enabled, users: [{ user: with, password: pw }] }
  WITHOUT { users: [{ user: without, password: pw }] }
}
"""


@pytest.fixture(scope="module")
def two_accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with running_server(tmp_path_factory.mktemp("accounts"), USERS, exec_prefix=END_WITH_TESTS) as server:
        yield server


@pytest.fixture
def dead_port() -> Iterator[str]:
    """The URL of a port that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"nats://127.0.0.1:{taken.getsockname()[1]}"


async def test_a_server_that_is_away_is_an_error(tmp_path: Path, dead_port: str) -> None:
    found = await only_finding(node_to_check(tmp_path, nats_url=dead_port), "servers")
    assert found.level is Level.ERROR
    assert found.text.startswith(f"{dead_port} can't be reached")


async def test_one_server_of_several_that_is_away_is_a_warning(
    tmp_path: Path, dead_port: str, shared_server: NatsServer
) -> None:
    node = node_to_check(tmp_path, nats_url=f"{dead_port},{shared_server.url}")
    away, fine = await findings_of(node, "servers")
    assert (away.level, fine.level) == (Level.WARNING, Level.OK)
    assert fine.text == f"{shared_server.url} accepts the login"


async def test_a_wrong_password_is_an_error_and_is_not_shown(tmp_path: Path, two_accounts: NatsServer) -> None:
    url = two_accounts.url.replace("//", "//with:s3cr3t@")
    found = await only_finding(node_to_check(tmp_path, nats_url=url), "servers")
    assert found.level is Level.ERROR
    assert "refused the login" in found.text
    assert "s3cr3t" not in f"{found}"


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikto_core.diagnosis.checks_nats.SERVER_LIMIT_S", 0.05)
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"nats://u:s3cr3t@127.0.0.1:{mute.getsockname()[1]}"
        found = await only_finding(node_to_check(tmp_path, nats_url=url), "servers")
    assert "does not answer within 0.05 s" in found.text
    assert "s3cr3t" not in found.text


def test_what_is_only_worth_a_look_beside_a_server_that_works_is_an_error_without_one() -> None:
    denied = NatsDeniedError("refused", hint="look")
    assert levels(server_findings([denied, denied])) == ["error", "error"]
    assert levels(server_findings([denied, Finding(level=Level.OK, text="fine")])) == ["warning", "ok"]


async def test_an_account_without_jetstream_is_an_error(tmp_path: Path, two_accounts: NatsServer) -> None:
    login: dict[str, Any] = {"nats_url": two_accounts.url, "nats_user": "without", "nats_password": "pw"}
    found = await only_finding(node_to_check(tmp_path, **login), "jetstream")
    assert found.level is Level.ERROR
    assert "JetStream not enabled for account" in found.text
    assert found.fix.startswith("enable JetStream for this account")
    fine = await only_finding(node_to_check(tmp_path, **(login | {"nats_user": "with"})), "jetstream")
    assert fine.level is Level.OK


@pytest.mark.parametrize(
    "check", ["jetstream", "clock", "bucket", "permissions", "replicas", "mesh-settings", "subnet"]
)
async def test_without_nats_the_checks_that_need_it_say_so(tmp_path: Path, dead_port: str, check: str) -> None:
    found = await only_finding(node_to_check(tmp_path, nats_url=dead_port), check)
    assert (found.level, found.text) == (Level.SKIPPED, "NATS can't be used")


@pytest.mark.usefixtures("private_umask")
async def test_credentials_that_expired_or_expire_soon_are_found(tmp_path: Path) -> None:
    creds = tmp_path / "creds"
    node = node_to_check(tmp_path, nats_creds=str(creds))
    for expires_s, level in ((1.7e9, Level.ERROR), (time.time() + 86400, Level.WARNING), (None, Level.OK)):
        creds.write_text(OPERATOR.creds(expires_s=expires_s))
        assert (await only_finding(node, "credentials")).level is level


@pytest.mark.parametrize(
    ("expires_s", "level"), [(0, "ok"), (1e9 - 1, "error"), (1e9 + 86400, "warning"), (1e9 + 8 * 86400, "ok")]
)
def test_a_week_before_their_expiry_credentials_are_a_warning(expires_s: float, level: str) -> None:
    assert expiry_finding(expires_s, 1e9).level.value == level


async def test_the_clock_of_this_host_is_compared_with_the_servers(
    tmp_path: Path, bucket: Bucket, shared_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = node_to_check(tmp_path, nats_url=shared_server.url, nats_kv=bucket.name)
    assert (await only_finding(node, "clock")).level is Level.OK
    now = time.time
    monkeypatch.setattr("ikto_core.diagnosis.checks_nats.time.time", lambda: now() + 300)
    found = await only_finding(node_to_check(tmp_path, nats_url=shared_server.url, nats_kv=bucket.name), "clock")
    assert found.level is Level.WARNING
    assert " s ahead of the NATS server's" in found.text


@pytest.mark.parametrize(
    ("offset_s", "level"), [(0, "ok"), (-4, "ok"), (6, "warning"), (-600, "warning"), (90000, "error")]
)
def test_how_wrong_a_clock_may_be(offset_s: float, level: str) -> None:
    assert clock_finding(offset_s).level.value == level
