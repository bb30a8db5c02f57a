"""A mesh of processes: a nats-server and agents, each on a given host, for demos and tests."""

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from random import SystemRandom
from typing import Any, TypeVar

import msgspec

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from ikto_core.lab.nats_server import NatsServer
from ikto_core.lab.network import Host
from ikto_core.mesh.records import PEER_KEYS
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings

T = TypeVar("T")

MESH = MeshSettings("fd10::/16", 48)
BUCKET = "ikto-mesh"
FIRST_PORT = 51821
IKTO = (sys.executable, "-m", "ikto_core")

_numbers = count(1)


class HostedNode:
    """A host, its agent and the name of its device."""

    def __init__(self, host: Host, agent: AgentProcess, ifname: str) -> None:
        self.host = host
        self.agent = agent
        self.ifname = ifname

    @property
    def address(self) -> str:
        """The node's address in the mesh; empty if no subnet is claimed yet."""
        return self.agent.admin.status().private_address or ""


class HostedMesh:
    """A nats-server on the hub, and nodes whose agents the caller starts."""

    def __init__(self, hub: Host, server: NatsServer, nodes: Sequence[HostedNode]) -> None:
        self.hub = hub
        self.server = server
        self.nodes = nodes

    def record_times(self) -> Mapping[str, float]:
        """Return when the server stored each record, in seconds since the epoch, by the record's key."""
        page = self.on_bucket(lambda bucket: bucket.page(1))
        stored = {message.key: message.time for message in page.messages if message.key.startswith(PEER_KEYS)}
        return {key: msgspec.convert(time, datetime).timestamp() for key, time in stored.items()}

    def on_bucket(self, use: Callable[[Bucket], Coroutine[Any, Any, T]]) -> T:
        """Return the result of `use` on the mesh's bucket, over a separate connection from the hub."""
        return _on_bucket(self.hub, self.server, use)


@contextmanager
def hosted_mesh(
    directory: Path,
    hub: Host,
    hosts: Sequence[Host],
    backends: Sequence[str],
    config: Mapping[str, object],
    *,
    exec_prefix: Sequence[str] = (),
    program: Sequence[str] = IKTO,
) -> Iterator[HostedMesh]:
    """Run a nats-server with a bucket, and create a node on each host. All processes end with the block.

    The hosts may be the same one: every node has its own port and interface name. Names differ between hosts, too,
    because network namespaces share the socket directory of userspace WireGuard.

    Args:
        directory: For all files; the caller deletes it.
        hub: The host of the nats-server.
        hosts: The hosts of the agents.
        backends: The agents' backends, one per host.
        config: Further settings of the agents.
        exec_prefix: A command prefix for every process, such as one that ends it with this process.
        program: The command that runs `ikto`.

    """
    server = NatsServer(directory / "nats", address=hub.address, exec_prefix=(*exec_prefix, *hub.exec_prefix))
    with ExitStack() as stack:
        stack.callback(server.stop)
        server.start()
        _on_bucket(hub, server, lambda bucket: create_bucket(bucket, MESH, replicas=1, memory=False))
        common = {"private_address": "auto", "nats_url": server.url, "nats_kv": BUCKET, **config}
        nodes = [
            _node(directory, number, host, (*exec_prefix, *host.exec_prefix, *program), common | {"backend": backend})
            for number, (host, backend) in enumerate(zip(hosts, backends, strict=True))
        ]
        stack.enter_context(stopped_at_exit([node.agent for node in nodes]))
        yield HostedMesh(hub, server, nodes)


def ifnames_of(pid: int) -> str:
    """Return the prefix of the device names in meshes of a process."""
    return f"ik{pid}x"


def _node(directory: Path, number: int, host: Host, command: Sequence[str], config: dict[str, object]) -> HostedNode:
    ifname = f"{ifnames_of(os.getpid())}{next(_numbers)}"
    settings = {
        "name": f"node-{number + 1}",
        "mesh_cidr": MESH.mesh_cidr,
        "subnet_prefix": MESH.subnet_prefix,
        "wg_port": FIRST_PORT + number,
        "wg_dev_name": ifname,
    }
    return HostedNode(host, AgentProcess(directory / f"n{number + 1}", settings | config, command=command), ifname)


def _on_bucket(hub: Host, server: NatsServer, use: Callable[[Bucket], Coroutine[Any, Any, T]]) -> T:
    async def connected() -> T:
        async with open_session(NatsSettings(servers=(server.url,)), SystemRandom()) as session:
            return await use(Bucket(session, BUCKET))

    return hub.call(lambda: asyncio.run(connected()))


def converged(statuses: Sequence[StatusView | None]) -> bool:
    """Whether every device has every other node as a peer, and all devices are at the bucket's latest revision."""
    seen = [status for status in statuses if status is not None]
    all_keys = {status.public_key for status in seen}
    latest = max((status.bucket_revision for status in seen), default=0)
    return len(seen) == len(statuses) == len(all_keys) and all(_in_sync(s, all_keys, latest) for s in seen)


def _in_sync(status: StatusView, all_keys: set[str], latest: int) -> bool:
    on_device = {peer.public_key for peer in status.device.peers} if status.device else None
    return (
        status.state is AgentState.READY
        and on_device == all_keys - {status.public_key}
        and status.revision == status.bucket_revision == latest
    )
