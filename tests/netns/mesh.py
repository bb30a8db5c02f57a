"""A mesh of agents as processes, each on a host of its own: real tunnels, for root only."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.testing.agent_process import AgentProcess, stopped_at_exit
from ikto_core.testing.nats_server import NatsServer
from ikto_core.testing.network import Host, network
from tests.e2e.conftest import eventually

_numbers = count(1)

NEEDED = ("ip", "ping", "wg", "wireguard-go")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

USERSPACE = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="userspace WireGuard needs /dev/net/tun"),
]
"""What a test module with userspace WireGuard is marked with."""

DELETE_RECORD = """
import asyncio, sys
from random import Random
from ikto_core.records import record_key
from ikto_core.store.bucket import Bucket
from ikto_core.store.link import open_session
from ikto_core.store.session import NatsSettings

async def delete(server, allowed_ip):
    async with open_session(NatsSettings(servers=(server,)), Random()) as session:
        bucket = Bucket(session, "ikto-mesh")
        entry = await bucket.get(record_key(allowed_ip))
        await bucket.put(record_key(allowed_ip), None, expected=entry.revision)

asyncio.run(delete(*sys.argv[1:]))
"""


class Node:
    """A host and the agent on it."""

    def __init__(self, host: Host, agent: AgentProcess, ifname: str) -> None:
        self.host = host
        self.agent = agent
        self.ifname = ifname

    @property
    def address(self) -> str:
        return self.agent.admin.status().private_address or ""

    def ready(self, peers: int) -> StatusView:
        status = self.agent.admin.status()
        assert status.state is AgentState.READY
        assert status.device
        assert len(status.device.peers) == peers
        return status

    def handshakes(self) -> dict[str, float | None]:
        device = self.agent.admin.status().device
        assert device
        return {peer.public_key: peer.last_handshake for peer in device.peers}

    def handshake(self, other: "Node") -> float | None:
        """When the two last shook hands, in seconds since the epoch; asked of the device, not of the agent."""
        lines = self.host.run("wg", "show", self.ifname, "latest-handshakes").splitlines()
        times = dict(line.split("\t") for line in lines)
        return float(times.get(str(other.agent.public_key), 0)) or None


class Mesh:
    """A nats-server on the hub, and nodes around it."""

    def __init__(self, hub: Host, server: NatsServer, nodes: Sequence[Node]) -> None:
        self.hub = hub
        self.server = server
        self.nodes = nodes

    def start(self, *nodes: Node) -> None:
        """Start these agents, and wait until they are ready beside all that run."""
        for node in nodes:
            node.agent.start()
        running = [node for node in self.nodes if node.agent.running]
        for node in running:
            eventually(partial(node.ready, peers=len(running) - 1))

    def forget(self, node: Node) -> None:
        """Stop an agent and delete its record; wait until nobody has it as a peer."""
        allowed_ip = node.agent.admin.status().allowed_ip
        assert allowed_ip
        node.agent.stop()
        self.hub.run(sys.executable, "-c", DELETE_RECORD, self.server.url, allowed_ip)
        self.wait()

    def wait(self) -> None:
        """Wait until every agent that runs has all the others as peers."""
        running = [node for node in self.nodes if node.agent.running]
        for node in running:
            eventually(partial(node.ready, peers=len(running) - 1))


@contextmanager
def mesh(backends: Sequence[str], **config: object) -> Iterator[Mesh]:
    """Make a host with an agent, not started yet, for each of these backends; all of it is gone when the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        hub, hosts = stack.enter_context(network(len(backends)))
        server = NatsServer(directory / "nats", address=hub.address, within=hub.within)
        stack.callback(server.stop)
        server.start()
        hub.run(sys.executable, "-m", "ikto_core", "bucket", "create", "--nats-url", server.url)
        common = {"private_address": "auto", "nats_url": server.url} | config
        nodes = [
            _node(stack, directory / f"n{number}", host, common | {"name": f"node-{number}", "backend": backend})
            for number, (host, backend) in enumerate(zip(hosts, backends, strict=True), 1)
        ]
        yield Mesh(hub, server, nodes)


def _node(stack: ExitStack, directory: Path, host: Host, config: dict[str, object]) -> Node:
    ifname = f"ik{os.getpid()}x{next(_numbers)}"  # the sockets of userspace WireGuard know no namespaces
    command = (*host.within, sys.executable, "-m", "ikto_core")
    agent = AgentProcess(directory, config | {"wg_dev_name": ifname}, command=command)
    delete = [*host.within, "ip", "link", "del", ifname]
    stack.callback(subprocess.run, delete, check=False, capture_output=True)  # which ends wireguard-go
    stack.enter_context(stopped_at_exit([agent]))
    return Node(host, agent, ifname)
