"""The admin socket: requests of any client to the server, and answers of any server to the client."""

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue

import msgspec

from ikto_core.admin.device_views import DiffView
from ikto_core.admin.leave_views import LeaveStep, LeaveView
from ikto_core.admin.mesh_views import InfoView, PeersView
from ikto_core.admin.server import serve
from ikto_core.admin.views import AgentState, ProgressView, RotationView, StatusView
from ikto_core.admin.why_views import Diagnosis
from ikto_core.client import AdminClient
from ikto_core.errors import IktoError
from ikto_core.observers.health import MeshKnown
from ikto_core.observers.journal import Journal
from ikto_core.values.times import utc
from tests.admin.node import converged_node, peer_record
from tests.fuzz.target import Check, RefusedError, Target

IDLE_TICKS = 12
"""So many rounds of the event loop without an answer are the end of the answers."""

MAX_TICKS, MAX_TASKS = 300, 40
_STATUS_LINE = re.compile(rb"HTTP/\d\.\d (200|202|4\d\d|501|503|505) ")
SERVER_WORDS = (
    *(b"GET ", b"POST ", b"HEAD ", b"/v1/status", b"/v1/info", b"/healthz", b"/v1/peers/release", b" HTTP/1.1\r\n"),
    *(b"/v1/leave", b"/v1/down", b"?drain_s=", b"&forget="),
    *(b"Host: x\r\n", b"Connection: close\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n"),
    *(b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"Content-Encoding: gzip\r\n", b"\r\n\r\n"),
    *(b"0\r\n\r\n", b"%00", b"//", b"?", b"/v1/peers"),
)  # fmt: skip
CLIENT_WORDS = (
    *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/0.9 200", b"Content-Length: 10\r\n"),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n\r\n",
        b"ffffffff\r\n",
        b"0\r\n\r\n",
        b'"state":',
        b'"peers":',
        b'"error":"',
    ),
)


class _Agent:
    """An agent that gives the same answers again and again."""

    state, ready, metrics_peers = AgentState.READY, True, 200

    def __init__(self, info: InfoView, progress: ProgressView, status: StatusView, peers: PeersView) -> None:
        self._info, self._progress, self._status, self._peers = info, progress, status, peers
        self.journal = Journal()
        self.journal.add([MeshKnown(peers=1, quarantined=0)])

    def progress(self) -> ProgressView:
        return self._progress

    def info(self) -> InfoView:
        return self._info

    async def status(self) -> StatusView:
        return self._status

    async def peers(self) -> PeersView:
        return self._peers

    async def why(self, target: str, *, probe: bool = True) -> Diagnosis:
        raise IktoError(f"{target}: not asked, {probe}")

    def settings(self) -> Mapping[str, object]:
        return {"wg_dev_name": "wg0"}

    async def diff(self) -> DiffView:
        return DiffView(ifname="wg0", backend="fake", source="agent", revision=1, changes=())

    def release_removals(self) -> int:
        return 0

    def resync(self) -> None:
        pass

    def rotate_key(self) -> RotationView:
        raise IktoError("no subnet is claimed yet")

    @property
    def departure(self) -> "_Departure":
        return _Departure()


class _Departure:
    def begin(self, *, withdraw: bool, drain_s: float = 0.0, forget: bool = False) -> LeaveView:
        return LeaveView(step=LeaveStep.WITHDRAWING if withdraw else LeaveStep.REMOVING, until=utc(drain_s + forget))

    def view(self) -> LeaveView:
        return LeaveView(step=LeaveStep.NONE)


async def _agent(directory: Path) -> _Agent:
    async with converged_node(directory, peer_record(2)) as node:
        return _Agent(node.report.info(), node.report.progress(), await node.report.status(), await node.report.peers())


async def _answers(path: Path, data: bytes) -> bytes:
    """Send bytes to the server, and return what it answers before it waits for more."""
    answers, idle = b"", 0
    with socket.socket(socket.AF_UNIX) as client:
        client.setblocking(False)
        client.connect(str(path))
        client.send(data)
        for _ in range(MAX_TICKS):
            await asyncio.sleep(0)
            try:
                part = client.recv(2**16)
            except BlockingIOError:
                idle += 1
                if idle > IDLE_TICKS:
                    break
            except ConnectionResetError:
                break
            else:
                answers, idle = answers + part, 0
                if not part:
                    break
    return answers


async def _request(path: Path, data: bytes) -> None:
    answers = await _answers(path, data)
    assert len(asyncio.all_tasks()) < MAX_TASKS
    assert b"500 Internal Server Error" not in answers, answers[-300:]
    found = _STATUS_LINE.match(answers)
    assert found or not answers, answers[:100]
    if not found or (found[1] not in (b"200", b"202", b"503")):
        raise RefusedError


@contextmanager
def _open_server(directory: Path) -> Iterator[Check]:
    path, stack = directory / "s", AsyncExitStack()
    with asyncio.Runner() as runner:
        agent = runner.run(_agent(directory))
        runner.run(stack.enter_async_context(serve(agent, path)))
        yield lambda data: runner.run(_request(path, data))
        assert runner.run(_answers(path, b"GET /healthz HTTP/1.0\r\n\r\n")).endswith(b"ok\n"), "the server has died"
        runner.run(stack.aclose())


_METHODS: dict[bytes, Callable[[AdminClient], object]] = {
    b"status": AdminClient.status,
    b"info": AdminClient.info,
    b"peers": AdminClient.peers,
    b"release": AdminClient.release,
    b"resync": AdminClient.resync,
    b"rotate_key": AdminClient.rotate_key,
    b"leave": AdminClient.leave,
    b"down": AdminClient.down,
    b"leaving": AdminClient.leaving,
    b"progress": AdminClient.progress,
    b"events": lambda client: [line.decode(errors="replace") for line in client.event_lines()],
}


def _serve_each(listener: socket.socket, answers: "SimpleQueue[bytes | None]") -> None:
    """Answer one client after the other, until the queue has None."""
    while (answer := answers.get()) is not None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.recv(2**16)
            client.sendall(answer)


@contextmanager
def _open_client(directory: Path) -> Iterator[Check]:
    """The first line of an input is the client's method, the others are the answer."""
    path, answers = directory / "s", SimpleQueue[bytes | None]()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=_serve_each, args=(listener, answers), daemon=True)
        thread.start()

        def check(data: bytes) -> None:
            line, _, answer = data.partition(b"\n")
            answers.put(answer)
            msgspec.json.encode(_METHODS.get(line, AdminClient.status)(AdminClient(path)))

        yield check
        answers.put(None)
        thread.join()


TARGETS = (
    Target("http-server", 2, (), _open_server, SERVER_WORDS),
    Target("http-client", 5, (IktoError,), _open_client, CLIENT_WORDS),
)
