"""A mesh of agents as processes, each on a host of its own: real tunnels, for root only."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.lab.hosted import HostedMesh, HostedNode, hosted_mesh
from ikto_core.lab.network import Host, network
from ikto_core.mesh.records import record_key
from ikto_core.store.bucket import Bucket
from ikto_core.values.times import epoch_s
from tests.e2e.conftest import eventually
from tests.netns.nat import behind

NEEDED = ("ip", "ping", "wg", "wireguard-go")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

USERSPACE = [
    pytest.mark.tunnels,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="userspace WireGuard needs /dev/net/tun"),
]
"""What a test module with userspace WireGuard is marked with."""


class Node(HostedNode):
    """A host and the agent on it."""

    def ready(self, peers: int) -> StatusView:
        status = self.agent.admin.status()
        assert status.state is AgentState.READY
        assert status.device
        assert len(status.device.peers) == peers
        return status

    def handshake(self, other: "Node") -> float | None:
        """When the two last shook hands, in seconds since the epoch; asked of the device, not of the agent."""
        lines = self.host.run("wg", "show", self.ifname, "latest-handshakes").splitlines()
        times = dict(line.split("\t") for line in lines)
        return float(times.get(str(other.agent.public_key), 0)) or None

    def handshakes(self) -> dict[str, float | None]:
        device = self.agent.admin.status().device
        assert device
        return {peer.public_key: epoch_s(peer.last_handshake) for peer in device.peers}

    def look_again(self) -> None:
        """Have the agent compare its whole device: once a second pass has begun, the first one is over."""
        for _ in range(2):
            next_pass = eventually(lambda: self._full_passes() + 1)
            eventually(self._resynced)  # an emulated machine may answer late
            eventually(partial(self._has_passed, next_pass))

    def _resynced(self) -> bool:
        self.agent.admin.resync()
        return True

    def _has_passed(self, number: int) -> bool:
        return self._full_passes() >= number

    def _full_passes(self) -> int:
        return self.agent.admin.status().counters.reconcile.full_passes

    def endpoint(self, other: "Node") -> str:
        """Return where this node's device sends to the other, HOST:PORT."""
        lines = self.host.run("wg", "show", self.ifname, "endpoints").splitlines()
        return dict(line.split("\t") for line in lines)[str(other.agent.public_key)]


class Mesh:
    """A nats-server on the hub, and nodes around it."""

    def __init__(self, made: HostedMesh) -> None:
        self._made = made
        self.hub = made.hub
        self.server = made.server
        self.nodes = [Node(node.host, node.agent, node.ifname) for node in made.nodes]

    def start(self, *nodes: Node) -> None:
        """Start these agents, and wait until they are ready beside all that run."""
        for node in nodes:
            node.agent.start()
        self.wait()

    def forget(self, node: Node) -> None:
        """Stop an agent and delete its record; wait until nobody has it as a peer."""
        allowed_ip = node.agent.admin.status().allowed_ip
        assert allowed_ip
        node.agent.stop()
        self._made.on_bucket(lambda bucket: _delete(bucket, record_key(allowed_ip)))
        for other in self.nodes:
            if other.agent.running:
                self.release(other)  # the node has signed its record, so that it would stay for a while
        self.wait()

    def release(self, node: Node) -> None:
        """Wait until a node has removed what it removes later, of which there is something."""
        eventually(partial(_released, node))

    def wait(self) -> None:
        """Wait until every agent that runs has all the others as peers."""
        running = [node for node in self.nodes if node.agent.running]
        for node in running:
            eventually(partial(node.ready, peers=len(running) - 1))


def _released(node: Node) -> int:
    return node.agent.admin.release().released


async def _delete(bucket: Bucket, key: str) -> None:
    entry = await bucket.get(key)
    assert entry
    await bucket.put(key, None, expected=entry.revision)


@contextmanager
def mesh(backends: Sequence[str], **config: object) -> Iterator[Mesh]:
    """Make a host with an agent, not started yet, for each of these backends; all of it is gone when the block ends."""
    with network(len(backends)) as (hub, hosts), _mesh(hub, hosts, backends, config) as made:
        yield made


@contextmanager
def mesh_with_nat(backends: Sequence[str], **config: object) -> Iterator[Mesh]:
    """Make a mesh like `mesh`, but the last host is behind another one that translates addresses."""
    with (
        network(len(backends)) as (hub, [*hosts, router]),
        behind(router) as inner,
        _mesh(hub, [*hosts, inner], backends, config) as made,
    ):
        yield made


@contextmanager
def _mesh(hub: Host, hosts: Sequence[Host], backends: Sequence[str], config: Mapping[str, object]) -> Iterator[Mesh]:
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    try:
        with hosted_mesh(directory, hub, hosts, backends, config) as made:
            yield Mesh(made)
    finally:
        shutil.rmtree(directory)
