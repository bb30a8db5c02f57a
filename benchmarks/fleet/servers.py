"""One nats-server, or a cluster of three, and what they use."""

import asyncio
import json
import os
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

import msgspec

from ikto_core.errors import IktoError
from ikto_core.lab.nats_cluster import running_cluster
from ikto_core.lab.nats_server import NatsServer, running_server
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings

MESH = MeshSettings("fd10::/16", 48)
MONITORING = 'http: "127.0.0.1:-1"\n'
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_TIMEOUT_S = 30.0


class ServerReading(msgspec.Struct, frozen=True):
    """What servers have used since each of them started."""

    cpu_s: float = 0.0
    rss: int = 0  # bytes, of all of them
    rss_before: int = 0  # when this began
    in_bytes: int = 0  # from clients
    out_bytes: int = 0  # to clients
    in_messages: int = 0
    out_messages: int = 0


class Servers:
    """The servers of a bench."""

    def __init__(self, servers: Mapping[str, NatsServer]) -> None:
        self.servers = servers

    @property
    def urls(self) -> tuple[str, ...]:
        """The URLs for clients."""
        return tuple(server.url for server in self.servers.values())

    def read(self) -> dict[int, ServerReading]:
        """Return what each running server has used, by its process id."""
        return {server.pid: _read(server) for server in self.servers.values() if server.pid}

    async def create_bucket(self, name: str) -> None:
        """Create the bucket of a mesh, on all servers. Waits for a cluster's leaders."""
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                async with open_session(NatsSettings(servers=self.urls), Random()) as session:
                    await create_bucket(Bucket(session, name), MESH, replicas=len(self.servers), memory=False)
                    return
            except IktoError:
                if time.monotonic() > give_up_at:
                    raise
                await asyncio.sleep(0.2)


def used_between(before: Mapping[int, ServerReading], after: Mapping[int, ServerReading]) -> ServerReading:
    """Return what was used between two readings; a server that was started meanwhile counts from its start."""
    nothing = ServerReading()
    pairs = [(before.get(pid, nothing), reading) for pid, reading in after.items()]
    return ServerReading(
        cpu_s=sum(b.cpu_s - a.cpu_s for a, b in pairs),
        rss=sum(b.rss for _, b in pairs),
        rss_before=sum(a.rss for a in before.values()),
        in_bytes=sum(b.in_bytes - a.in_bytes for a, b in pairs),
        out_bytes=sum(b.out_bytes - a.out_bytes for a, b in pairs),
        in_messages=sum(b.in_messages - a.in_messages for a, b in pairs),
        out_messages=sum(b.out_messages - a.out_messages for a, b in pairs),
    )


@contextmanager
def running_servers(directory: Path, count: int) -> Iterator[Servers]:
    """Run one server, or a cluster, for the length of a block."""
    if count == 1:
        with running_server(directory / "n1", MONITORING) as server:
            yield Servers({"n1": server})
        return
    with running_cluster(directory, count, MONITORING) as cluster:
        yield Servers(cluster.servers)


def _read(server: NatsServer) -> ServerReading:
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(") ")[2].split()
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    seen = _varz(server)
    return ServerReading(
        cpu_s=(int(fields[11]) + int(fields[12])) / TICKS_PER_S,  # utime and stime: proc_pid_stat(5)
        rss=pages * os.sysconf("SC_PAGE_SIZE"),
        in_bytes=seen["in_bytes"],
        out_bytes=seen["out_bytes"],
        in_messages=seen["in_msgs"],
        out_messages=seen["out_msgs"],
    )


def _varz(server: NatsServer) -> dict[str, int]:
    ports = json.loads((server.directory / f"nats-server_{server.pid}.ports").read_text())
    with urllib.request.urlopen(f"{ports['monitoring'][0]}/varz", timeout=10) as answer:  # noqa: S310 - http
        seen: dict[str, int] = json.loads(answer.read())
        return seen
