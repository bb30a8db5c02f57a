"""A mesh on this machine: a nats-server and agents, each a process of its own, all gone when the block ends."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from random import SystemRandom
from tempfile import TemporaryDirectory

import msgspec

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.errors import IktoError
from ikto_core.mesh_settings import MeshSettings
from ikto_core.records import PEER_KEYS
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.link import open_session
from ikto_core.store.session import NatsSettings
from ikto_core.testing.agent_process import AgentProcess, stopped_at_exit
from ikto_core.testing.nats_server import NatsServer, running_server

BUCKET = "ikto-demo"
MESH = MeshSettings("fd10::/16", 48)
FIRST_PORT = 51820


class DemoMesh:
    """The running parts of a demo."""

    def __init__(self, server: NatsServer, agents: Sequence[AgentProcess]) -> None:
        self.server = server
        self.agents = agents

    def look(self) -> list[StatusView | None]:
        """Ask every agent how it does; None for one that does not answer. Raises IktoError if one has ended."""
        for agent in self.agents:
            if not agent.running:
                raise IktoError(f"{agent.name} ended with exit code {agent.wait()}: {agent.log_text()[-500:]}")
        return [_status(agent) for agent in self.agents]

    def first_claim(self) -> float:
        """Return when the server stored the first record, in seconds since the epoch."""
        return asyncio.run(_first_claim(self.server))


@contextmanager
def running_mesh(nodes: int, backend: str) -> Iterator[DemoMesh]:
    """Run a nats-server and `nodes` agents in a temporary directory for the length of a block."""
    with TemporaryDirectory(prefix="ikto-demo-") as name, running_server(Path(name) / "nats") as server:
        asyncio.run(_create_bucket(server))
        agents = [
            AgentProcess(
                Path(name) / f"node-{number}",
                {
                    "name": f"node-{number}",
                    "advertise_address": "127.0.0.1",
                    "private_address": "auto",
                    "mesh_cidr": MESH.mesh_cidr,
                    "subnet_prefix": MESH.subnet_prefix,
                    "wg_port": FIRST_PORT + number,
                    "nats_url": server.url,
                    "nats_kv": BUCKET,
                    "backend": backend,
                },
            )
            for number in range(1, nodes + 1)
        ]
        with stopped_at_exit(agents):
            for agent in agents:
                agent.start()
            yield DemoMesh(server, agents)


def converged(statuses: Sequence[StatusView | None]) -> bool:
    """Whether every device has every other node as a peer and shows the same, latest revision of the bucket."""
    seen = [status for status in statuses if status is not None]
    everybody = {status.public_key for status in seen}
    latest = max((status.bucket_revision for status in seen), default=0)
    return len(seen) == len(statuses) == len(everybody) and all(_in_step(s, everybody, latest) for s in seen)


def _in_step(status: StatusView, everybody: set[str], latest: int) -> bool:
    on_device = {peer.public_key for peer in status.device.peers} if status.device else None
    return (
        status.state is AgentState.READY
        and on_device == everybody - {status.public_key}
        and status.revision == status.bucket_revision == latest
    )


def _status(agent: AgentProcess) -> StatusView | None:
    try:
        return agent.admin.status()
    except IktoError:  # it has only just started
        return None


async def _create_bucket(server: NatsServer) -> None:
    async with open_session(NatsSettings(servers=(server.url,)), SystemRandom()) as session:
        await create_bucket(Bucket(session, BUCKET), MESH, replicas=1, memory=False)


async def _first_claim(server: NatsServer) -> float:
    async with open_session(NatsSettings(servers=(server.url,)), SystemRandom()) as session:
        page = await Bucket(session, BUCKET).page(1)
    times = [message.time for message in page.messages if message.key.startswith(PEER_KEYS)]
    return min(msgspec.convert(time, datetime).timestamp() for time in times)
