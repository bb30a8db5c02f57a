"""`GET /v1/events` streams the journal; no reader keeps an agent from working or from stopping."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from ikto_core.admin import events as events_module
from ikto_core.admin import server as server_module
from ikto_core.admin.server import serve
from ikto_core.agent.agent import running
from ikto_core.client import AdminClient, EventView
from ikto_core.errors import IktoError
from ikto_core.observers.contract import MeshEvent, PeerAccepted, Resync
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.health import HealthEvent, InSync
from ikto_core.observers.journal import Journal
from tests.admin.node import Node, converged_node, peer_record
from tests.admin.test_server import ask
from tests.nodes import until


@pytest.fixture
async def node(tmp_path: Path, path: Path) -> AsyncIterator[Node]:
    async with converged_node(tmp_path, peer_record(2)) as node, serve(node.report, path):
        yield node


def add(journal: Journal, *seconds: float) -> None:
    journal.add(InSync(failed_s=each) for each in seconds)


async def lines(path: Path, target: str) -> list[dict[str, object]]:
    answer = await ask(path, target)
    assert (answer.status, answer.kind) == (200, "application/x-ndjson")
    return [json.loads(line) for line in answer.body.splitlines()]


async def test_a_line_has_the_number_the_time_and_the_events_own_members(node: Node, path: Path) -> None:
    add(node.report.journal, 1.5)
    (line,) = await lines(path, "/v1/events")
    assert list(line) == ["number", "time", "event", "failed_s"]
    assert (line["number"], line["event"], line["failed_s"]) == (1, "in-sync", 1.5)
    assert str(line["time"]).endswith("Z")


async def test_after_a_number_come_the_later_ones(node: Node, path: Path) -> None:
    add(node.report.journal, 1, 2, 3)
    assert [line["failed_s"] for line in await lines(path, "/v1/events?after=2")] == [3]
    assert await lines(path, "/v1/events?after=3") == []


@pytest.mark.parametrize("query", ["after=x", "after=-1", "after=%C2%B2", "follow=1", "state=yes", "after=" + "9" * 99])
@pytest.mark.usefixtures("node")
async def test_a_wrong_query_is_an_error(path: Path, query: str) -> None:
    answer = await ask(path, f"/v1/events?{query}")
    assert (answer.status, answer.kind) == (400, "application/json")
    assert "give" in json.loads(answer.body)["error"]


async def test_a_follower_gets_what_happens_and_the_end_when_the_agent_stops(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SHUTDOWN_TIMEOUT_S", 3600.0)  # the agent does not wait for its readers
    monkeypatch.setattr(events_module, "STREAM_S", 3600.0)
    async with asyncio.timeout(60), converged_node(tmp_path) as node:
        async with serve(node.report, path):
            stream = AdminClient(path).event_lines(follow=True)
            add(node.report.journal, 1)
            first = await asyncio.to_thread(next, stream)
            waiting = asyncio.create_task(asyncio.to_thread(next, stream, None))
            await asyncio.sleep(0)
            add(node.report.journal, 2)
            assert b'"number":2,' in (await waiting or b"")
            ended = asyncio.create_task(asyncio.to_thread(next, stream, None))
        assert msgspec.json.decode(first, type=EventView).number == 1
        with pytest.raises(IktoError, match="no agent answers"):
            await ended


async def test_a_stream_that_is_over_is_continued(node: Node, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "STREAM_S", 0.05)
    add(node.report.journal, 1)
    stream = AdminClient(path).event_lines(follow=True)
    assert b'"number":1,' in await asyncio.to_thread(next, stream)
    waiting = asyncio.create_task(asyncio.to_thread(next, stream))
    await asyncio.sleep(0.2)
    add(node.report.journal, 2)
    assert b'"number":2,' in await waiting


async def test_a_reader_that_does_not_read_misses_events_and_is_told(node: Node, path: Path) -> None:
    journal = node.report.journal
    with socket.socket(socket.AF_UNIX) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(str(path))
        client.sendall(b"GET /v1/events?follow=true HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(40):
            add(journal, *map(float, range(1000)))
            assert (await ask(path, "/healthz")).status == 200, "nobody else waits"
        assert len(journal._entries) <= 1000
        text = b""
        client.settimeout(60)
        while b'"event":"dropped"' not in text:
            text += await asyncio.to_thread(client.recv, 2**16)
        assert b"\r\n0\r\n" not in text


async def test_a_program_can_begin_with_the_mesh(node: Node, path: Path) -> None:
    hub = EventHub()
    hub.set_view(node.controller.view)
    async with running(node.report.journal.run(hub)):
        await until(lambda: node.report.journal.last)
        answer = await ask(path, "/v1/events?state=true")
    found = [msgspec.json.decode(line, type=MeshEvent | HealthEvent) for line in answer.body.splitlines()]
    assert [type(event) for event in found] == [Resync, PeerAccepted]
    assert {json.loads(line)["number"] for line in answer.body.splitlines()} == {1}


async def test_the_end_of_the_agent_and_that_of_a_stream_may_come_together() -> None:
    streams = events_module.EventStreams(Journal())
    with suppress(TimeoutError):
        async with asyncio.timeout(0) as limit:
            streams._limits.add(limit)
            try:
                await asyncio.Event().wait()
            finally:  # the time is over, and the stream has not ended yet
                streams.close()
    assert limit.expired()
