"""`ikto doctor` says what is wrong with a node, what to do, and where that is described."""

import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ikto_core.cli.main import run
from ikto_core.diagnosis.all_checks import BUILT_IN
from ikto_core.lab.agent_process import write_private
from ikto_core.mesh.records import record_key
from ikto_core.testing.devices import public_key_of
from tests.agent_mesh import Mesh, eventually
from tests.cli.test_config import config_file
from tests.e2e.conftest import lonely_mesh, mesh
from tests.plugin_site import Site

__all__ = ["lonely_mesh", "mesh"]  # fixtures

PAGE = Path(__file__).parents[2] / "docs/doctor.md"
OTHER = public_key_of(9)
DEAD = "nats://127.0.0.1:1"

Doctor = Callable[..., tuple[int, str]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Run the command; return its exit code and what it printed."""

    def call(*arguments: object) -> tuple[int, str]:
        code = run(["doctor", *map(str, arguments)])
        return code, capsys.readouterr().out

    return call


def test_every_check_has_a_heading_and_every_heading_a_check() -> None:
    headings = re.findall(r"^### (.+)$", PAGE.read_text(), re.MULTILINE)
    assert headings == [check.name for check in BUILT_IN]


def test_a_healthy_mesh_has_no_error(mesh: Mesh, doctor: Doctor) -> None:
    one, _ = (mesh.agent(advertise_address="127.0.0.1" if number else "192.0.2.9") for number in range(2))
    mesh.assert_formed()
    arguments = ("-c", one.directory / "config.json", "-s", one.socket)
    code, text = doctor(*arguments, "--json")
    document = json.loads(text)
    assert [finding for finding in document["findings"] if finding["level"] == "error"] == []
    assert (code, document["ok"]) == (0, True)
    code, text = doctor(*arguments)
    assert code == 0
    assert re.search(r"^  . agent: the agent is ready: 1 peers, revision \d+$", text, re.MULTILINE)
    assert text.splitlines()[-1].startswith("0 errors, ")


def test_a_robbed_subnet_is_an_error_with_a_fix_and_a_page(mesh: Mesh, doctor: Doctor) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    agent.stop()
    record = mesh.read("fd10:1::/48")
    assert record
    mesh.write(record_key("fd10:1::/48"), record.replace(str(agent.public_key).encode(), str(OTHER).encode()))
    code, text = doctor("-c", agent.directory / "config.json", "-s", agent.socket)
    assert code == 21
    lines = text.splitlines()
    expected = f"  × subnet: fd10:1::/48 is in use by 'node-1' with the public key {OTHER}"
    at = lines.index(expected)
    assert lines[at + 1].startswith("      fix: ")
    assert lines[at + 2] == "      see: docs/doctor.md#subnet"


def test_before_the_first_start_no_agent_is_asked(
    tmp_path: Path, doctor: Doctor, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = config_file(tmp_path, nats_url=mesh.url, nats_kv=mesh.name)
    monkeypatch.setenv("IKTO_SOCKET", str(tmp_path / "nobody"))
    _, text = doctor("-c", path, "--pre", "--json")
    found = {finding["check"] for finding in json.loads(text)["findings"]}
    assert not found & {"agent", "in-sync", "claim", "reachable", "records", "pending", "observers"}
    assert "no agent answers" not in text
    assert doctor("-c", path)[0] == 21  # nobody answers


def test_a_configuration_that_can_not_be_used_is_all_that_is_said(tmp_path: Path, doctor: Doctor) -> None:
    path = config_file(tmp_path, wg_port=0, nats_kv="")
    code, text = doctor("-c", path, "--json")
    document = json.loads(text)
    assert code == 21
    assert {finding["check"] for finding in document["findings"]} == {"configuration"}
    assert [finding["text"].partition(":")[0] for finding in document["findings"]] == ["wg_port", "nats_kv"]
    assert document["findings"][0]["page"] == "docs/doctor.md#configuration"


def test_config_check_and_doctor_say_the_same(
    tmp_path: Path, doctor: Doctor, capsys: pytest.CaptureFixture[str]
) -> None:
    path = config_file(tmp_path, nats_url=DEAD, backend="wgtool", netns="blue", observers=["acme"], ipam="acme")
    run(["config", "check", "-c", str(path), "--json"])
    problems = json.loads(capsys.readouterr().out)["problems"]
    _, text = doctor("-c", path, "--pre", "--json")
    found = [finding for finding in json.loads(text)["findings"] if finding["check"] == "configuration"]
    assert len(problems) == 3
    assert problems == [
        f"{finding['text']} ({finding['fix']})" if finding["fix"] else finding["text"] for finding in found
    ]


def test_a_key_that_others_can_read_is_a_warning(tmp_path: Path, doctor: Doctor) -> None:
    path = config_file(tmp_path, nats_url=DEAD)
    (tmp_path / "key").chmod(0o644)
    _, text = doctor("-c", path, "--pre", "--json")
    (found,) = [finding for finding in json.loads(text)["findings"] if finding["check"] == "configuration"]
    assert (found["level"], found["fix"]) == ("warning", f"chmod 600 {tmp_path}/key")


class Terminal(io.TextIOWrapper):
    """A stdout with an encoding of its own."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)

    @property
    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize(("encoding", "mark"), [("ascii", "xx"), ("latin-1", "xx"), ("utf-8", "×")])
def test_marks_are_ascii_where_the_terminal_has_no_others(
    tmp_path: Path, encoding: str, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout = Terminal(encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    assert run(["doctor", "-c", str(tmp_path / "nowhere")]) == 21
    assert f"  {mark} configuration: " in stdout.text


def test_foreign_text_can_not_control_the_terminal(tmp_path: Path, site: Site, doctor: Doctor) -> None:
    code = """
from ikto_core.plugins import CheckPlugin, Finding, Level

@hookimpl
def ikto_register_checks():
    found = [Finding(level=Level.ERROR, text="\\x1b[31mred", fix="\\x07", page="\\x9b")]
    yield CheckPlugin(name="loud", summary="quiet", run=lambda context: found)
"""
    site.install("acme-ikto", code)
    path = config_file(tmp_path, nats_url=DEAD)
    code_, text = doctor("-c", path, "--pre")
    assert code_ == 21
    assert "× acme-ikto/loud: \\x1b[31mred" in text
    assert text.isprintable() or set("\x1b\x07\x9b").isdisjoint(text)


def test_a_password_in_a_url_is_not_shown(tmp_path: Path, doctor: Doctor) -> None:
    path = config_file(tmp_path)
    write_private(path, json.dumps(json.loads(path.read_text()) | {"nats_url": "nats://u:s3cr3t@127.0.0.1:1"}))
    for more in ((), ("--json",)):
        assert "s3cr3t" not in doctor("-c", path, "--pre", *more)[1]


def test_a_stopped_server_is_named(lonely_mesh: Mesh, doctor: Doctor) -> None:
    agent = lonely_mesh.agent()
    lonely_mesh.assert_formed()
    lonely_mesh.server.kill()
    eventually(lambda: not agent.admin.status().nats.connected)
    code, text = doctor("-c", agent.directory / "config.json", "-s", agent.socket)
    assert code == 21
    assert f"× servers: {lonely_mesh.server.url} can't be reached" in text
    assert "× agent: the agent is degraded: " in text
