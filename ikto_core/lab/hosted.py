"""A mesh of processes: a nats-server and agents, each on a host given to it, for demos and tests."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from ikto_core.lab.nats_server import NatsServer
from ikto_core.lab.network import Host
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings

T = TypeVar("T")

MESH = MeshSettings("fd10::/16", 48)
BUCKET = "ikto-mesh"
FIRST_PORT = 51821

_numbers = count(1)


class HostedNode:
    """A host, the agent on it, and the name of its device."""

    def __init__(self, host: Host, agent: AgentProcess, ifname: str) -> None:
        self.host = host
        self.agent = agent
        self.ifname = ifname

    @property
    def address(self) -> str:
        """The node's address in the mesh; empty: nothing is claimed yet."""
        return self.agent.admin.status().private_address or ""


class HostedMesh:
    """A nats-server on the hub, and nodes around it, whose agents the caller starts."""

    def __init__(self, hub: Host, server: NatsServer, nodes: Sequence[HostedNode]) -> None:
        self.hub = hub
        self.server = server
        self.nodes = nodes

    def on_bucket(self, use: Callable[[Bucket], Coroutine[Any, Any, T]]) -> T:
        """Do something to the mesh's bucket, over a connection of our own from the hub."""
        return _on_bucket(self.hub, self.server, use)


@contextmanager
def hosted_mesh(
    directory: Path,
    hub: Host,
    hosts: Sequence[Host],
    backends: Sequence[str],
    config: Mapping[str, object],
    *,
    before: Sequence[str] = (),
) -> Iterator[HostedMesh]:
    """Run a nats-server with a bucket, and make a node on each host; no process outlives the block.

    Hosts may be one and the same: ports and interface names differ (sockets of userspace WireGuard know no namespaces).

    Args:
        directory: For everything that is kept in files; left to the caller to delete.
        hub: Where the nats-server runs.
        hosts: Where the agents run.
        backends: Their backends, one a host.
        config: More of the agents' configuration.
        before: A program that starts the others, such as one that ties their lives to ours.

    """
    server = NatsServer(directory / "nats", address=hub.address, within=(*before, *hub.within))
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        _on_bucket(hub, server, lambda bucket: create_bucket(bucket, MESH, replicas=1, memory=False))
        common = {"private_address": "auto", "nats_url": server.url, "nats_kv": BUCKET, **config}
        nodes = [
            _node(directory, number, host, before, common | {"backend": backend})
            for number, (host, backend) in enumerate(zip(hosts, backends, strict=True))
        ]
        stack.enter_context(stopped_at_exit([node.agent for node in nodes]))
        yield HostedMesh(hub, server, nodes)


def ifnames_of(pid: int) -> str:
    """Return how the names of the devices begin in meshes of that process."""
    return f"ik{pid}x"


def _node(directory: Path, number: int, host: Host, before: Sequence[str], config: dict[str, object]) -> HostedNode:
    ifname = f"{ifnames_of(os.getpid())}{next(_numbers)}"
    members = {
        "name": f"node-{number + 1}",
        "mesh_cidr": MESH.mesh_cidr,
        "subnet_prefix": MESH.subnet_prefix,
        "wg_port": FIRST_PORT + number,
        "wg_dev_name": ifname,
    }
    command = (*before, *host.within, sys.executable, "-m", "ikto_core")
    return HostedNode(host, AgentProcess(directory / f"n{number + 1}", members | config, command=command), ifname)


def _on_bucket(hub: Host, server: NatsServer, use: Callable[[Bucket], Coroutine[Any, Any, T]]) -> T:
    async def connected() -> T:
        async with open_session(NatsSettings(servers=(server.url,)), SystemRandom()) as session:
            return await use(Bucket(session, BUCKET))

    return hub.call(lambda: asyncio.run(connected()))


def converged(statuses: Sequence[StatusView | None]) -> bool:
    """Whether every device has every other node as a peer and shows the same, latest revision of the bucket."""
    seen = [status for status in statuses if status is not None]
    everybody = {status.public_key for status in seen}
    latest = max((status.bucket_revision for status in seen), default=0)
    return len(seen) == len(statuses) == len(everybody) and all(_in_sync(s, everybody, latest) for s in seen)


def _in_sync(status: StatusView, everybody: set[str], latest: int) -> bool:
    on_device = {peer.public_key for peer in status.device.peers} if status.device else None
    return (
        status.state is AgentState.READY
        and on_device == everybody - {status.public_key}
        and status.revision == status.bucket_revision == latest
    )
