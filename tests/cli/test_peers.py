"""`ikto peers` lists the accepted peers, and `ikto peers release` applies pending removals."""

import asyncio
import json
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.admin.server import serve
from ikto_core.cli.main import run
from ikto_core.errors import BackendError
from ikto_core.testing.devices import public_key_of
from tests.admin.node import WG, Node, converged_node, peer_record

HANDSHAKE_AGE_S = 3 * 3600


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ikto-") as name:
        yield Path(name) / "ikto.sock"


@pytest.fixture
async def node(tmp_path: Path, path: Path) -> AsyncIterator[Node]:
    records = (peer_record(number) for number in range(2, 12))
    async with converged_node(tmp_path, *records) as node, serve(node.report, path):
        yield node


async def ikto(*arguments: object) -> int:
    return await asyncio.to_thread(run, [str(argument) for argument in arguments])


async def delete_all_records(node: Node) -> int:
    """Delete every peer's record; return the number of pending removals."""
    for number in range(2, 12):
        node.bucket.write(peer_record(number).key, None)
    await node.converge()
    return len(node.reconciler.brake.pending)


async def test_the_table_has_every_peer(node: Node, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node.host.handshake(WG, public_key_of(2), time.time() - HANDSHAKE_AGE_S)
    assert await ikto("peers", "-s", path) == 0
    title, header, *peers = capsys.readouterr().out.splitlines()
    assert title == "Peers (10):"
    assert header.split() == ["NAME", "SUBNET", "KEY", "ENDPOINT", "PROVED", "HANDSHAKE"]
    assert peers[0].split() == [
        "peer-2",
        "fd10:2::/48",
        public_key_of(2).text[:-1],  # these keys differ in the last byte only
        "192.0.2.2:51820",
        "no",
        "3",
        "h",
        "ago",
    ]
    assert peers[1].split() == ["peer-3", "fd10:3::/48", public_key_of(3).text[:-1], "192.0.2.3:51820", "no", "never"]
    assert len(peers) == 10


@pytest.mark.usefixtures("node")
async def test_wide_has_whole_keys_and_o_json_is_json(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await ikto("peers", "-s", path, "-o", "wide") == 0
    assert public_key_of(2).text in capsys.readouterr().out.split()
    assert await ikto("peers", "-s", path, "-o", "json") == 0
    assert json.loads(capsys.readouterr().out)["peers"]


async def test_peers_missing_on_the_device_are_marked(
    node: Node, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node.host.remove_device(WG)
    assert await ikto("peers", "-s", path) == 0
    assert capsys.readouterr().out.count("not on the device") == 10


async def test_json_is_the_complete_answer_of_the_agent(
    node: Node, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ikto("peers", "-s", path, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert [peer["name"] for peer in answer["peers"]] == [f"peer-{number}" for number in range(2, 12)]
    assert len(answer["peers"]) == len((await node.report.peers()).peers)


@pytest.mark.parametrize("socket_first", [True, False])
async def test_release_applies_pending_removals(
    node: Node, path: Path, capsys: pytest.CaptureFixture[str], socket_first: bool
) -> None:
    pending = await delete_all_records(node)
    assert pending == 5
    capsys.readouterr()
    arguments = ["-s", path, "release"] if socket_first else ["release", "-s", path]
    assert await ikto("peers", *arguments) == 0
    assert capsys.readouterr().out == f"{pending} pending removals and key changes applied\n"
    await node.converge()
    device = node.host.device(WG)
    assert device
    assert not device.peers


async def test_release_with_nothing_pending_answers_0_in_json(
    node: Node, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await ikto("peers", "release", "-s", path, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"released": 0}
    assert not node.reconciler.brake.pending


async def test_a_name_cannot_control_the_terminal(
    tmp_path: Path, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = replace(peer_record(2), name="\x1b[31mred")
    async with converged_node(tmp_path, hostile) as node, serve(node.report, path):
        assert await ikto("peers", "-s", path) == 0
    assert "\x1b" not in capsys.readouterr().out


async def test_why_the_device_cannot_be_read_is_shown_with_the_hint(
    node: Node, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node.host.fail_next("read", BackendError("wg0: no permission", hint="run as root"))
    assert await ikto("peers", "-s", path) == 0
    assert capsys.readouterr().out.startswith("failure  wg0: no permission\nhint     run as root\n\nPeers (")
