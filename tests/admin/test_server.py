"""The socket serves the report as JSON, and survives any client."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from structlog.testing import capture_logs

from ikto_core import __version__
from ikto_core.admin import connections as connections_module
from ikto_core.admin import server as server_module
from ikto_core.admin.server import serve
from ikto_core.admin.views import AgentState
from ikto_core.agent import device_reading
from ikto_core.client import AdminClient
from ikto_core.device.model import DevicePatch
from ikto_core.disk.key_file import load_private_key, next_key_file
from ikto_core.errors import IktoError
from ikto_core.testing.devices import public_key_of
from tests.admin.node import OWN_SUBNET, Node, converged_node, fresh_node, peer_record

SECOND_IS_GARBAGE = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/9.9\r\nHost: x\r\n\r\n"


class Answer(NamedTuple):
    status: int
    kind: str
    body: str
    allow: str


def ask_now(path: Path, target: str, method: str) -> Answer:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(5)
        client.connect(str(path))
        client.sendall(f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        response = HTTPResponse(client, method=method)
        response.begin()
        kind, allow = (response.getheader(name) or "" for name in ("Content-Type", "Allow"))
        return Answer(response.status, kind, response.read().decode(), allow)


def exists(path: Path) -> bool:
    return path.exists()


def remove(path: Path) -> None:
    path.unlink()


def put_file(path: Path) -> None:
    path.write_text("not a socket")


def is_file(path: Path) -> bool:
    return path.is_file()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def ask(path: Path, target: str, method: str = "GET") -> Answer:
    return await asyncio.to_thread(ask_now, path, target, method)


@pytest.fixture
async def node(tmp_path: Path, path: Path) -> AsyncIterator[Node]:
    async with converged_node(tmp_path, peer_record(2)) as node, serve(node.report, path):
        yield node


async def test_the_client_gets_every_view_complete(node: Node, path: Path) -> None:
    client = AdminClient(path)
    assert await asyncio.to_thread(client.info) == node.report.info()
    assert await asyncio.to_thread(client.status) == await node.report.status()
    assert await asyncio.to_thread(client.peers) == await node.report.peers()
    assert await asyncio.to_thread(client.diff) == await node.report.diff()


async def test_drift_is_in_the_diff_until_it_is_repaired(node: Node, path: Path) -> None:
    client = AdminClient(path)
    assert (await asyncio.to_thread(client.diff)).changes == ()
    node.host.tamper("wg0", DevicePatch(remove_peers=frozenset({public_key_of(2)})))
    (change,) = (await asyncio.to_thread(client.diff)).changes
    assert (change.action, change.name, change.public_key) == ("add-peer", "peer-2", public_key_of(2).text)
    node.reconciler.request_full_pass()
    await node.converge()
    assert (await asyncio.to_thread(client.diff)).changes == ()


async def test_status_is_json_with_the_documented_members(node: Node, path: Path) -> None:
    answer = await ask(path, "/v1/status")
    assert (answer.status, answer.kind) == (200, "application/json")
    status = msgspec.json.decode(answer.body)
    assert status["state"] == "ready"
    assert status["version"] == __version__
    assert status["allowed_ip"] == OWN_SUBNET
    assert status["revision"] == status["bucket_revision"] == 2
    assert status["nats"] == {"connected": True, "server": "nats://127.0.0.1:4222", "failure": None, "hint": None}
    assert [peer["public_key"] for peer in status["device"]["peers"]] == [public_key_of(2).text]
    assert node.report.state is AgentState.READY


async def test_info_has_the_own_record_and_the_peers(node: Node, path: Path) -> None:
    info = msgspec.json.decode((await ask(path, "/v1/info")).body)
    assert list(info) == ["self", "peers"]
    assert info["self"] == msgspec.to_builtins(node.report.info())["self"]
    assert list(info["peers"][0]) == ["name", "public_key", "advertise_address", "allowed_ip", "wg_port"]


async def test_resync_reads_the_bucket_and_the_device_again(node: Node, path: Path) -> None:
    stats = node.controller.follower.stats, node.reconciler.stats
    before = (stats[0].whole_walks, stats[1].full_passes)
    await asyncio.to_thread(AdminClient(path).resync)
    await node.converge()
    assert (stats[0].whole_walks, stats[1].full_passes) == (before[0] + 1, before[1] + 1)


async def test_a_rotation_starts_and_is_in_the_status(node: Node, path: Path, tmp_path: Path) -> None:
    assert (await node.report.status()).rotation is None
    rotation = await asyncio.to_thread(AdminClient(path).rotate_key)
    assert rotation == (await node.report.status()).rotation
    assert rotation.next_public_key == load_private_key(next_key_file(tmp_path / "key")).public().text
    assert rotation.due_at is None  # the key is not announced yet


async def test_a_refused_request_has_an_error_and_a_hint(tmp_path: Path, path: Path) -> None:
    async with fresh_node(tmp_path) as node, serve(node.report, path):
        answer = await ask(path, "/v1/rotate-key", "POST")
        assert answer.status == 409
        refusal = msgspec.json.decode(answer.body)
        assert "no subnet is claimed yet" in refusal["error"]
        with pytest.raises(IktoError, match="no subnet is claimed yet") as caught:
            await asyncio.to_thread(AdminClient(path).rotate_key)
        assert caught.value.hint == refusal["hint"] == "try again later"


async def test_healthz_always_answers_and_readyz_depends_on_the_device(tmp_path: Path, path: Path) -> None:
    async with fresh_node(tmp_path) as node, serve(node.report, path):
        assert (await ask(path, "/healthz"))[:1] == (200,)
        before = await ask(path, "/readyz")
        await node.see()
        await node.claim()
        await node.converge()
        after = await ask(path, "/readyz")
    assert (before.status, before.body) == (503, "connecting\n")
    assert (after.status, after.body) == (200, "ready\n")


async def test_metrics_are_prometheus_text(node: Node, path: Path) -> None:
    answer = await ask(path, "/metrics")
    assert (answer.status, answer.kind.split(";")[0]) == (200, "text/plain")
    assert f"ikto_peers {float(len(node.controller.view.peers))}\n" in answer.body


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    ("method", "target", "status", "error"),
    [
        ("GET", "/v1/nothing", 404, "there is no path /v1/nothing"),
        ("GET", "/", 404, "there is no path /"),
        ("POST", "/v1/status", 405, "/v1/status allows GET, HEAD, not POST"),
        ("GET", "/v1/resync", 405, "/v1/resync allows POST, not GET"),
    ],
)
async def test_an_unknown_path_or_method_is_an_error_in_json(
    path: Path, method: str, target: str, status: int, error: str
) -> None:
    answer = await ask(path, target, method)
    assert (answer.status, answer.kind) == (status, "application/json")
    assert msgspec.json.decode(answer.body) == {"error": error}
    assert bool(answer.allow) == (status == 405)


async def test_a_bug_in_a_backend_fails_one_request_only(node: Node, path: Path) -> None:
    node.host.fail_next("read", RuntimeError("a plugin's bug"))
    answer = await ask(path, "/v1/status")
    assert (answer.status, answer.kind) == (500, "application/json")
    assert "a plugin's bug" in msgspec.json.decode(answer.body)["error"]
    assert (await ask(path, "/v1/status")).status == 200


@pytest.mark.usefixtures("node")
async def test_garbage_on_the_socket_does_no_harm(path: Path) -> None:
    def send_garbage() -> None:
        for garbage in (b"", b"\x00" * 1000, b"GET / HTTP/9.9\r\n\r\n", b"GET " + b"/" * 100_000):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.send(garbage)

    await asyncio.to_thread(send_garbage)
    assert (await ask(path, "/healthz")).status == 200


@pytest.mark.usefixtures("node")
async def test_a_request_that_can_not_be_read_is_one_line_in_the_log(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Also the second one of a connection, and one that its client gives up after that."""

    def send_garbage() -> None:
        for garbage in (SECOND_IS_GARBAGE, b"GET /\n\xff HTTP/1.1\r\n\r\n"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(path))
                client.send(garbage)
                while client.recv(2**16):
                    pass

    with capture_logs() as logs:
        await asyncio.to_thread(send_garbage)
    assert [line["event"] for line in logs] == ["admin request refused"] * 2
    assert not any("\n" in line["error"] for line in logs)
    assert not caplog.records, "asyncio's own log has tracebacks"


async def test_a_second_agent_is_refused_and_the_first_continues(node: Node, path: Path) -> None:
    with pytest.raises(IktoError, match="in use by another agent"):
        async with serve(node.report, path):
            pass
    assert (await ask(path, "/healthz")).status == 200


async def test_a_stopped_agent_removes_its_socket_and_the_next_one_can_listen(tmp_path: Path, path: Path) -> None:
    async with converged_node(tmp_path) as node:
        for _ in range(2):
            async with serve(node.report, path):
                assert (await ask(path, "/healthz")).status == 200
            assert not exists(path)


async def test_an_unfinished_request_does_not_keep_the_agent_from_stopping(tmp_path: Path, path: Path) -> None:
    async with converged_node(tmp_path) as node:
        with socket.socket(socket.AF_UNIX) as client:
            async with asyncio.timeout(60), serve(node.report, path):
                client.connect(str(path))
                client.send(b"GET /v1/status HT")
                assert (await ask(path, "/healthz")).status == 200
    assert not exists(path)


async def test_a_request_that_hangs_does_not_keep_the_agent_from_stopping(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device_reading, "READ_TIMEOUT_S", 3600)
    monkeypatch.setattr(server_module, "SHUTDOWN_TIMEOUT_S", 0.1)
    async with converged_node(tmp_path) as node:
        node.host.delay = timedelta(hours=1)
        with socket.socket(socket.AF_UNIX) as client:
            async with asyncio.timeout(60), serve(node.report, path):
                client.connect(str(path))
                client.send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
                assert (await ask(path, "/healthz")).status == 200


@pytest.mark.usefixtures("node")
async def test_a_client_that_leaves_connections_open_shuts_nobody_out(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections_module, "MAX_CONNECTIONS", 3)
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(10)]
        for client in clients:
            client.connect(str(path))
            assert (await ask(path, "/healthz")).status == 200
        closed = [await asyncio.to_thread(ended, client) for client in clients[:7]]
        assert all(closed), "the oldest are cut"


@pytest.mark.usefixtures("node")
@pytest.mark.parametrize(
    "sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"]
)
async def test_a_connection_ends_whatever_its_client_does(
    path: Path, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections_module, "MAX_CONNECTION_S", 0.05)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.send(sent)
        assert await asyncio.to_thread(ended, client)


@pytest.mark.usefixtures("node")
async def test_a_client_that_is_gone_leaves_nothing_behind_though_its_body_has_not_arrived(path: Path) -> None:
    """Otherwise any number of clients would be waited for."""
    before = asyncio.all_tasks()
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.send(b"POST /v1/resync HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
            assert await asyncio.to_thread(client.recv, 65536)
    async with asyncio.timeout(5):
        while asyncio.all_tasks() - before:
            await asyncio.sleep(0.01)


def ended(client: socket.socket) -> bool:
    """Read until the other side ends the connection."""
    client.settimeout(60)
    with suppress(ConnectionError):
        while client.recv(65536):
            pass
    return True


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "KEEP_PATH_EVERY_S", 0.01)


async def _answers(path: Path) -> None:
    async with asyncio.timeout(60):
        while not (await asyncio.to_thread(exists, path) and (await ask(path, "/healthz")).status == 200):
            await asyncio.sleep(0)


@pytest.mark.usefixtures("impatient")
async def test_a_socket_file_that_was_removed_is_made_again(tmp_path: Path, path: Path) -> None:
    async with fresh_node(tmp_path) as node, serve(node.report, path) as server:
        keeping = asyncio.create_task(server.keep_path())
        for _ in range(2):
            with capture_logs() as logs:
                remove(path)
                await _answers(path)
            assert [entry["socket"] for entry in logs] == [str(path)]
            assert mode(path) == 0o600
        keeping.cancel()
        await asyncio.wait([keeping])
    assert not exists(path)


@pytest.mark.usefixtures("impatient")
async def test_a_path_that_can_not_be_had_again_is_logged_once_and_tried_again(tmp_path: Path, path: Path) -> None:
    async with fresh_node(tmp_path) as node, serve(node.report, path) as server:
        keeping = asyncio.create_task(server.keep_path())
        with capture_logs() as logs:
            remove(path)
            put_file(path)
            async with asyncio.timeout(60):
                while not logs:
                    await asyncio.sleep(0)
            for _ in range(3):  # it looks again
                await asyncio.sleep(0.02)
            assert is_file(path)
            remove(path)
            await _answers(path)
        assert [entry["log_level"] for entry in logs] == ["error", "warning"]
        keeping.cancel()
        await asyncio.wait([keeping])
