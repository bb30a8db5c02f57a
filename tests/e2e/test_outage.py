"""However long NATS is away, and in whatever way: an agent goes on trying, and grows neither in memory nor in files.

By default an outage is over after some hundred attempts; `OUTAGE_S=3600 pytest tests/e2e/test_outage.py` makes each an
hour long.
"""

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import cycle
from pathlib import Path
from signal import SIGTERM, SIGUSR1
from typing import NamedTuple

import pytest

from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_server import NatsServer
from tests.e2e.conftest import Mesh, eventually

OUTAGE_S = float(os.environ.get("OUTAGE_S", "0"))
WARM_UP, ATTEMPTS = 200, 600
MOST_GROWTH = {"rss_kb": 3_000, "files": 8, "threads": 2, "tasks": 12}
"""What one attempt that is under way takes, and some noise; 8 KB lost an attempt are more."""

COSTLIER = 3
"""An attempt may take so many times the processor's time that one took at first: the machine has other things to do."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300 + 2 * OUTAGE_S)]


class Size(NamedTuple):
    """What an agent takes."""

    rss_kb: int
    files: int
    threads: int
    tasks: int


def cpu_s(agent: AgentProcess) -> float:
    """Return the processor's time that an agent has taken."""
    user, system = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def size(agent: AgentProcess) -> Size:
    """Measure an agent's process."""
    tasks = agent.directory / "tasks"
    tasks.unlink(missing_ok=True)
    agent.send(SIGUSR1)
    eventually(lambda: tasks.exists() and tasks.read_text())
    process = Path(f"/proc/{agent.pid}")
    rss = re.search(r"VmRSS:\s+(\d+) kB", (process / "status").read_text())
    assert rss
    return Size(
        rss_kb=int(rss[1]),
        files=len(list((process / "fd").iterdir())),
        threads=len(list((process / "task").iterdir())),
        tasks=int(tasks.read_text()),
    )


@contextmanager
def nobody_listens(_: NatsServer) -> Iterator[None]:
    yield


@contextmanager
def somebody_hangs_up(server: NatsServer) -> Iterator[None]:
    """At the port answers what is no NATS: it hangs up at once, or after nonsense, or in the middle of a welcome."""
    words = cycle([b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b'INFO {"server_id":"x","max_payload":1}\r\n', b"INFO {"])

    def answer(listener: socket.socket) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = listener.accept()
                with client, suppress(ConnectionError):
                    client.sendall(next(words))

    with socket.create_server(("127.0.0.1", server.port)) as listener:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def the_bucket_is_gone(server: NatsServer) -> Iterator[None]:
    """A server that lets everybody in, and has lost its store."""
    server.config = 'jetstream { store_dir: "" }'
    server.start()
    try:
        yield
    finally:
        server.stop()


@pytest.mark.parametrize(
    "outage",
    [
        nobody_listens,
        *(pytest.param(outage, marks=pytest.mark.slow) for outage in (somebody_hangs_up, the_bucket_is_gone)),
    ],
)
def test_an_outage_leaks_neither_memory_nor_files(
    lonely_mesh: Mesh, outage: Callable[[NatsServer], AbstractContextManager[None]]
) -> None:
    agent = lonely_mesh.agent(program=("tests.impatient", "0.002"))
    lonely_mesh.assert_formed()
    lonely_mesh.server.kill()

    def attempts() -> int:
        return agent.admin.status().counters.connection.failures

    with outage(lonely_mesh.server):
        began_s, tried = cpu_s(agent), attempts()
        eventually(lambda: attempts() > WARM_UP, timeout_s=60)
        first_s = (cpu_s(agent) - began_s) / (attempts() - tried)
        before, over_at = size(agent), time.monotonic() + OUTAGE_S
        began_s, tried = cpu_s(agent), attempts()
        eventually(lambda: attempts() > ATTEMPTS and time.monotonic() > over_at, timeout_s=60 + OUTAGE_S)
        later_s = (cpu_s(agent) - began_s) / (attempts() - tried)
        after = size(agent)
    assert later_s < COSTLIER * first_s, "each attempt costs more than the one before"
    grown = {name: more - had for name, more, had in zip(Size._fields, after, before, strict=True)}
    assert not {name: by for name, by in grown.items() if by > MOST_GROWTH[name]}, (before, after, attempts())
    assert agent.admin.status().snapshot.in_use is False, "it goes on showing what it saw last"
    print(f"{outage.__name__}: {attempts()} attempts of {later_s * 1000:.1f} ms, {before}, then {after}")  # noqa: T201 - for who runs the long one


def test_agents_stopped_while_nats_stops_end(lonely_mesh: Mesh) -> None:
    """As when a machine goes down that has both: whatever a connection was about, SIGTERM ends the agent."""
    agents = [lonely_mesh.agent(program=("tests.impatient", "0.002")) for _ in range(4)]
    lonely_mesh.assert_formed()
    lonely_mesh.server.kill()
    for agent in agents:
        agent.send(SIGTERM)
    assert [agent.wait() for agent in agents] == [0] * 4
