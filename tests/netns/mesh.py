"""A mesh of agents as processes, each on a host of its own: real tunnels, for root only."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.testing.hosted import HostedMesh, HostedNode, hosted_mesh
from ikto_core.testing.network import network
from tests.e2e.conftest import eventually


class Node(HostedNode):
    """A host and the agent on it."""

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


class Mesh:
    """A nats-server on the hub, and nodes around it."""

    def __init__(self, made: HostedMesh) -> None:
        self.hub = made.hub
        self.server = made.server
        self.nodes = [Node(node.host, node.agent, node.ifname) for node in made.nodes]

    def start(self, *nodes: Node) -> None:
        """Start these agents, and wait until they are ready beside all that run."""
        for node in nodes:
            node.agent.start()
        running = [node for node in self.nodes if node.agent.running]
        for node in running:
            eventually(partial(node.ready, peers=len(running) - 1))


@contextmanager
def mesh(backends: Sequence[str], **config: object) -> Iterator[Mesh]:
    """Make a host with an agent, not started yet, for each of these backends; all of it is gone when the block ends."""
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    try:
        with (
            network(len(backends)) as (hub, hosts),
            hosted_mesh(directory, hub, hosts, backends, config) as made,
        ):
            yield Mesh(made)
    finally:
        shutil.rmtree(directory)
