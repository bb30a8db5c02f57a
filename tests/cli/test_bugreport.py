"""A bug report has what is needed and no secret, in whatever form and wherever that was."""

import asyncio
import base64
import errno
import gzip
import io
import json
import os
import stat
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, quote_plus

import pytest
from structlog.testing import capture_logs

from ikto_core.admin.server import serve
from ikto_core.cli.main import run
from ikto_core.values.keys import PrivateKey
from tests.admin.node import converged_node, peer_record

PASSWORD, TOKEN, URL_PASSWORD = "pä ss/w+rd%1", "tok?en&2=x y", "s3cr3t:in/url"
SEED = "SUAEL6RIKC2VFPJTFUDCWGHOBU5TDLBAMR2FI5T4HOLMHZJVFMYAXVTIGA"
JWT = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ.eyJqdGkiOiJXMk5BIn0.UjJkLXNpZ25hdHVyZQ"
CREDS = (
    f"-----BEGIN NATS USER JWT-----\n{JWT}\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n{SEED}\n"
)
TLS_DER = bytes(range(7, 140))
TLS_KEY = f"-----BEGIN PRIVATE KEY-----\n{base64.encodebytes(TLS_DER).decode()}-----END PRIVATE KEY-----\n"
PRESHARED = base64.b64encode(bytes(range(100, 132))).decode()
OF_ENVIRONMENT = "envir0nment/secret+x"


class Node(NamedTuple):
    """The files of a node that has a secret in every place."""

    config: Path
    secrets: tuple[bytes, ...]


LOGINS: dict[str, dict[str, str]] = {
    "creds": {"nats_creds": "creds"},
    "password": {"nats_user": "u", "nats_password": PASSWORD},
    "token": {"nats_token": TOKEN},
    "seed": {"nats_nkey_seed": "seed"},
    "url": {"nats_url": f"nats://admin:{quote(URL_PASSWORD, safe='')}@127.0.0.1:9"},
}
OF_LOGIN = {
    "creds": (JWT, SEED),
    "password": (PASSWORD,),
    "token": (TOKEN,),
    "seed": (SEED,),
    "url": (URL_PASSWORD, f"admin:{quote(URL_PASSWORD, safe='')}"),
}


@pytest.fixture(params=LOGINS)
def node(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    key, following = PrivateKey(bytes(range(32))).clamped(), PrivateKey(bytes(range(50, 82))).clamped()
    files = {
        "key": key.text,
        "key.next": following.text,
        "creds": CREDS,
        "seed": SEED,
        "tls.key": TLS_KEY,
        "tls.crt": "x",
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    settings = {
        "name": "node-a",
        "private_address": "fd10:1::",
        "private_key_path": str(tmp_path / "key"),
        "state_dir": str(tmp_path / "state"),
        "backend": "fake",
        "nats_url": "nats://127.0.0.1:9",
        "nats_tls_key": str(tmp_path / "tls.key"),
        "nats_tls_cert": str(tmp_path / "tls.crt"),
    }
    login = {name: str(tmp_path / text) if text in files else text for name, text in LOGINS[request.param].items()}
    (tmp_path / "config.json").write_text(json.dumps(settings | login))
    (tmp_path / "config.json").chmod(0o600)
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("DATABASE_PASSWORD", OF_ENVIRONMENT)
    secrets = [
        *(each.text.encode() for each in (key, following)),
        *(base64.b64decode(each.text) for each in (key, following)),
        *(each.encode() for each in (*OF_LOGIN[request.param], OF_ENVIRONMENT, PRESHARED)),
        TLS_DER,
    ]
    leaks = tmp_path / "leaks"
    leaks.write_bytes(
        b"\n".join(each for secret in secrets for each in forms(secret)) + TLS_KEY.encode() + CREDS.encode()
    )
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("journalctl", "ip", "wg", "systemctl", "uptime"):
        (programs / name).write_text(f"#!/bin/sh\necho output of {name}\nexec /bin/cat {leaks}\n")
        (programs / name).chmod(stat.S_IRWXU)
    (tmp_path / "state/state.json").write_bytes(leaks.read_bytes())
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("WG_PRESHARED_KEY", PRESHARED)
    return Node(tmp_path / "config.json", tuple(secrets))


def forms(secret: bytes) -> Iterator[bytes]:
    """The forms that the report is searched for; not those of the redactor, but the same by the standard library."""
    yield secret
    yield base64.b64encode(secret)
    yield base64.urlsafe_b64encode(secret)
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    yield quote(secret).encode()
    yield quote(secret, safe="").encode()
    yield quote_plus(secret).encode()


def contents(path: Path) -> dict[str, bytes]:
    """Return the members of a report, those in compressed members too."""
    found = {}
    with tarfile.open(path) as archive:
        for member in archive.getmembers():
            file = archive.extractfile(member)
            assert file
            assert stat.S_IMODE(member.mode) == 0o600
            text = file.read()
            found[member.name.removeprefix("ikto-bugreport/")] = (
                gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
            )
    return found


def assert_no_secret(path: Path, secrets: tuple[bytes, ...]) -> None:
    searched = {**contents(path), "the file": path.read_bytes(), "unpacked": gzip.decompress(path.read_bytes())}
    for name, text in searched.items():
        for secret in secrets:
            for form in forms(secret):
                assert form not in text, f"{name} has {form!r}"


def test_without_an_agent_it_has_what_can_be_had_and_no_secret(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.tar.gz"
    assert run(["bugreport", "-c", str(node.config), "-s", str(tmp_path / "none"), "-o", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = contents(path)
    assert_no_secret(path, node.secrets)
    assert b"output of journalctl" in found["log.txt"]
    assert b"output of ip" in found["host.txt"]
    assert b"output of wg" in found["wireguard.txt"]
    assert json.loads(found["configuration.json"])["settings"]["name"] == "node-a"
    assert "ikto" in json.loads(found["versions.json"])
    for name in ("status.json", "peers.json", "events.jsonl", "metrics.txt", "bucket.json", "device.json"):
        assert name not in found
        assert f"  {name}: " in found["README.txt"].decode()
    assert "no agent answers on" in found["README.txt"].decode()
    assert str(path) in capsys.readouterr().out


def test_the_search_finds_what_is_not_hidden(tmp_path: Path) -> None:
    path = tmp_path / "leaky.tar.gz"
    for form in forms(PASSWORD.encode()):
        with tarfile.open(path, "w:gz") as archive:
            text = gzip.compress(b"x" + form)
            member = tarfile.TarInfo("ikto-bugreport/inner.gz")
            member.size, member.mode = len(text), 0o600
            archive.addfile(member, io.BytesIO(text))
        with pytest.raises(AssertionError, match="inner"):
            assert_no_secret(path, (PASSWORD.encode(),))


async def test_a_running_agent_is_asked_and_its_answers_are_searched_too(node: Node, tmp_path: Path) -> None:
    """A peer's name can be anything, a password of this node among it."""
    names = [each.decode(errors="replace")[:200] for secret in node.secrets for each in forms(secret)]
    records = [peer_record(2 + number, name=name) for number, name in enumerate(names)]
    report = tmp_path / "report.tar.gz"
    with tempfile.TemporaryDirectory(prefix="ikto-") as directory, capture_logs():
        socket = Path(directory) / "s"
        async with converged_node(tmp_path / "other", *records) as agent, serve(agent.report, socket):
            arguments = ["bugreport", "-c", str(node.config), "-s", str(socket), "-o", str(report)]
            assert await asyncio.to_thread(run, arguments) == 0
    found = contents(report)
    assert_no_secret(report, node.secrets)
    assert json.loads(found["status.json"])["accepted"] == len(names)
    assert len(json.loads(found["peers.json"])["peers"]) == len(names)
    assert f"ikto_peers {float(len(names))}" in found["metrics.txt"].decode()


def test_a_configuration_that_is_wrong_is_reported_and_searched(node: Node, tmp_path: Path) -> None:
    settings = {"nats_token": "another t0ken", **json.loads(node.config.read_text())}
    settings |= {"nats_pasword": "misspelt secret", "wg_port": 0}
    node.config.write_text(json.dumps(settings))
    path = tmp_path / "report.tar.gz"
    assert run(["bugreport", "-c", str(node.config), "-s", str(tmp_path / "none"), "-o", str(path)]) == 0
    assert_no_secret(path, (*node.secrets, b"misspelt secret", b"another t0ken"))
    readme = contents(path)["README.txt"].decode()
    assert "configuration.json: " in readme
    assert "wg_port: 0 is not a port" in readme


def test_it_overwrites_nothing(node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "report.tar.gz"
    path.write_text("mine")
    assert run(["bugreport", "-c", str(node.config), "-s", str(tmp_path / "none"), "-o", str(path)]) == 3
    assert path.read_text() == "mine"
    errors = capsys.readouterr().err
    assert f"{path}: already exists and is not overwritten (give another file with -o)" in errors
    assert "versions.json" not in errors, "that is found before the work"


def test_a_report_that_cannot_be_written_leaves_no_part_of_it(
    node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "report.tar.gz"
    monkeypatch.setattr(os, "fsync", full)
    assert run(["bugreport", "-c", str(node.config), "-s", str(tmp_path / "none"), "-o", str(path)]) == 3
    assert f"{path}: can't be written: No space left on device" in capsys.readouterr().err
    assert not path.exists()
