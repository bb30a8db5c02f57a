"""`ikto events` has one line per event, for people or for programs."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from ikto_core.admin.events import event_line
from ikto_core.admin.server import serve
from ikto_core.cli.events import readable
from ikto_core.cli.exit_codes import READER_GONE
from ikto_core.cli.main import run
from ikto_core.observers.contract import PeerAccepted, PeerFacts, PeerRemoved
from ikto_core.observers.health import PeerUnreachable
from ikto_core.observers.journal import JournalEntry
from tests.admin.node import Node, converged_node

PEER = PeerFacts(
    public_key="KEY", name="node-b\x1b[2J", subnets=("fd10:2::/48",), addresses=(), endpoints=(), revision=1
)
DOWN = PeerUnreachable(public_key="KEY", name="node-b", reason="no answer")


@pytest.fixture
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ikto-") as name:
        yield Path(name) / "ikto.sock"


@pytest.fixture
async def node(tmp_path: Path, path: Path) -> AsyncIterator[Node]:
    async with converged_node(tmp_path) as node, serve(node.report, path):
        node.report.journal._record([PeerAccepted(peer=PEER), DOWN], {})
        yield node


@pytest.mark.usefixtures("node")
async def test_each_event_is_a_line(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(run, ["events", "-s", str(path)]) == 0
    joined, down = capsys.readouterr().out.splitlines()
    assert joined.split("  ")[1:] == [r"peer joined", r"node-b\x1b[2J", "fd10:2::/48", "public_key=KEY"]
    assert down.split("  ")[1:4] == ["peer unreachable", "node-b", "public_key=KEY"]
    assert "reason=no answer  (look at that node" in down


@pytest.mark.usefixtures("node")
async def test_json_has_the_events_as_observers_get_them(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(run, ["events", "--json", "-s", str(path)]) == 0
    joined, down = map(json.loads, capsys.readouterr().out.splitlines())
    assert msgspec.convert(joined, PeerAccepted) == PeerAccepted(peer=PEER)
    assert (down["event"], down["number"]) == ("unreachable", 2)


def test_the_two_events_of_another_key_are_one_line() -> None:
    assert readable(event_line(JournalEntry(1, 0.0, PeerRemoved(peer=PEER), replaced_by="NEXT"))) == ""
    assert "peer changed its key" in readable(event_line(JournalEntry(2, 0.0, PeerAccepted(peer=PEER), replaces="OLD")))


def test_the_event_of_a_later_version_is_shown_as_it_is() -> None:
    line = b'{"number":1,"time":"2026-01-01T00:00:00.000Z","event":"sang\\u001b","song":"x"}\n'
    assert readable(line) == "2026-01-01T00:00:00.000Z  " + line.decode().rstrip()


async def test_a_reader_that_has_seen_enough_ends_it_without_a_word(node: Node, path: Path) -> None:
    command = [sys.executable, "-m", "ikto_core", "events", "--follow", "-s", str(path)]
    with subprocess.Popen(  # noqa: ASYNC220 - this program, with fixed arguments
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, text=True
    ) as process:
        assert process.stdout
        assert process.stderr
        await asyncio.to_thread(process.stdout.readline)
        process.stdout.close()
        node.report.journal.add([DOWN] * 9)
        assert await asyncio.to_thread(process.stderr.read) == ""
    assert process.returncode == READER_GONE
