"""`ikto info` shows the agent's records in the very text of 0.3.0, or as JSON."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.admin.server import serve
from ikto_core.cli.main import run
from ikto_core.testing.devices import public_key_of
from ikto_core.values.addressing import Endpoint
from tests.admin.node import OWN_KEY, Node, converged_node, fresh_node, peer_record


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ikto-") as name:
        yield Path(name) / "ikto.sock"


@pytest.fixture
async def node(tmp_path: Path, path: Path) -> AsyncIterator[Node]:
    reachable = replace(peer_record(3), endpoints=(Endpoint.parse("[2001:db8::3]:7"), Endpoint.parse("192.0.2.3:8")))
    async with converged_node(tmp_path, peer_record(2), reachable) as node, serve(node.report, path):
        yield node


async def ikto(*arguments: object) -> int:
    return await asyncio.to_thread(run, [str(argument) for argument in arguments])


@pytest.mark.usefixtures("node")
async def test_the_text_is_that_of_0_3_0(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ikto("info", "-s", path) == 0
    assert (
        capsys.readouterr().out
        == f"""\
Local Node:
Name: node-a
Public Key: {OWN_KEY.public().text}
Advertise Address: 192.0.2.1
Allowed IP: fd10:1::/48
WireGuard Port: 51820

Peers:
Name: peer-2
Public Key: {public_key_of(2).text}
Advertise Address: 192.0.2.2
Allowed IP: fd10:2::/48
WireGuard Port: 51820

Name: peer-3
Public Key: {public_key_of(3).text}
Advertise Address: 192.0.2.3
Allowed IP: fd10:3::/48
WireGuard Port: 51820

"""
    )


async def test_json_has_the_members_of_the_records(node: Node, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ikto("info", "--socket", path, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert list(answer) == ["self", "peers"]
    assert answer["self"] == {
        "name": "node-a",
        "public_key": OWN_KEY.public().text,
        "advertise_address": "192.0.2.1",
        "allowed_ip": "fd10:1::/48",
        "wg_port": 51820,
    }
    assert [peer["name"] for peer in answer["peers"]] == ["peer-2", "peer-3"]
    assert answer["peers"][1]["endpoints"] == ["[2001:db8::3]:7", "192.0.2.3:8"]
    assert node.controller.record


async def test_before_the_claim_no_record_is_shown(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with fresh_node(tmp_path) as node, serve(node.report, path):
        assert await ikto("info", "-s", path) == 0
        assert await ikto("info", "-s", path, "--json") == 0
    text = "Local Node:\n(no subnet is claimed yet)\n\nPeers:\n"
    assert capsys.readouterr().out == text + '{\n  "self": null,\n  "peers": []\n}\n'


async def test_a_name_cannot_control_the_terminal(node: Node, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node.put(peer_record(4, name="\x1b[2J\r\nNode Information:\x7f\u202e\x9b[bold]"))
    await node.converge()
    assert await ikto("info", "-s", path) == 0
    text = capsys.readouterr().out
    assert r"Name: \x1b[2J\r\nNode Information:\x7f\u202e\x9b[bold]" in text.splitlines()
    assert await ikto("info", "-s", path, "--json") == 0
    text = capsys.readouterr().out
    assert all(char == "\n" or char.isprintable() for char in text)
    assert json.loads(text)["peers"][2]["name"] == "\x1b[2J\r\nNode Information:\x7f\u202e\x9b[bold]"


@pytest.mark.parametrize("command", ["info", "status"])
def test_without_an_agent_the_error_is_one_line_and_exits_1(
    path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert run([command, "-s", str(path)]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (
        "",
        f"ikto: no agent answers on {path} (ikto agent -c FILE -s {path})\n",
    )
