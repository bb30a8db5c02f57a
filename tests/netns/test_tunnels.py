"""Packets cross the mesh: agents as processes, each on a host of its own, with userspace WireGuard."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.testing.agent_process import AgentProcess, stopped_at_exit
from ikto_core.testing.nats_server import NatsServer
from tests.e2e.conftest import eventually
from tests.netns.network import Host, network

NEEDED = ("ip", "ping", "wg", "wireguard-go")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="userspace WireGuard needs /dev/net/tun"),
]


class Node:
    """A host and the agent on it."""

    def __init__(self, host: Host, agent: AgentProcess) -> None:
        self.host = host
        self.agent = agent

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


@pytest.fixture
def nodes() -> Iterator[Sequence[Node]]:
    """Three hosts that have become a mesh, addresses found by themselves."""
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        hub, hosts = stack.enter_context(network(3))
        server = NatsServer(directory / "nats", address=hub.address, within=hub.within)
        stack.callback(server.stop)
        server.start()
        hub.run(sys.executable, "-m", "ikto_core", "bucket", "create", "--nats-url", server.url)
        made = [_node(stack, directory, host, number, server) for number, host in enumerate(hosts, 1)]
        for node in made:
            node.agent.start()
        for node in made:
            eventually(partial(node.ready, peers=2))
        yield made


def _node(stack: ExitStack, directory: Path, host: Host, number: int, server: NatsServer) -> Node:
    ifname = f"ik{os.getpid()}x{number}"  # the sockets of userspace WireGuard know no namespaces
    config = {
        "name": f"node-{number}",
        "private_address": "auto",
        "wg_dev_name": ifname,
        "nats_url": server.url,
        "backend": "wgtool",
    }
    agent = AgentProcess(directory / f"n{number}", config, command=(*host.within, sys.executable, "-m", "ikto_core"))
    delete = [*host.within, "ip", "link", "del", ifname]
    stack.callback(subprocess.run, delete, check=False, capture_output=True)  # which ends wireguard-go
    stack.enter_context(stopped_at_exit([agent]))
    return Node(host, agent)


def test_every_host_reaches_every_other_and_a_restart_of_an_agent_is_not_felt(nodes: Sequence[Node]) -> None:
    addresses = {node: node.ready(peers=2).private_address or "" for node in nodes}
    for one, other in itertools.permutations(nodes, 2):
        eventually(partial(one.host.reaches, addresses[other]))
    restarted, other, _ = nodes
    sessions = other.handshakes()
    restarted.agent.stop()
    assert other.host.lost_pings(addresses[restarted]) == 0, "tunnels do not need the agent"
    restarted.agent.start()
    eventually(lambda: restarted.ready(peers=2))
    assert other.host.lost_pings(addresses[restarted]) == 0
    assert other.handshakes() == sessions, "no session was made anew"
