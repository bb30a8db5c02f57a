"""After an interruption a node contacts its peers on the kernel's WireGuard, also those that send nothing meanwhile.

The machine is emulated, so nothing is timed: the kernel's own log shows who started a handshake.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from signal import SIGTERM

import pytest

from ikto_core.lab.first_contact import mesh_of, start
from ikto_core.lab.hosted import HostedNode
from ikto_core.lab.interruption import delete_device, renumber, start_without_device
from tests.e2e.conftest import eventually
from tests.kernel.wireguard_log import COMPLETED, GIVEN_UP, STARTED, wireguard_log
from tests.netns.mesh import Node

pytestmark = [pytest.mark.usefixtures("patient_lab"), pytest.mark.timeout(1800)]

BACKENDS = ("netlink", "wgtool")

PATIENCE_S = 400.0

Event = Callable[[Node, Sequence[HostedNode]], float]


@pytest.fixture(scope="module")
def pair() -> Iterator[Sequence[Node]]:
    """Two nodes that are a mesh."""
    with mesh_of(len(BACKENDS)) as mesh:
        for node, backend in zip(mesh.nodes, BACKENDS, strict=True):
            node.agent.config["backend"] = backend
        start(mesh.nodes)
        yield [Node(node.host, node.agent, node.ifname) for node in mesh.nodes]


def reboot(node: Node, _: Sequence[HostedNode]) -> float:
    """Stop an agent, which may take long here, delete its device, and start the agent again."""
    node.agent.send(SIGTERM)
    assert node.agent.wait(PATIENCE_S) == 0
    return start_without_device(node)


def in_session(node: Node, peer: Node) -> None:
    """Make sure that two nodes have a session, and that the agent of the first has seen it."""
    eventually(partial(peer.host.reaches, node.address))
    node.look_again()


@pytest.mark.parametrize(("event", "number"), [(reboot, 0), (delete_device, 1)], ids=["reboot", "delete_device"])
def test_a_device_made_anew_starts_a_handshake_with_a_silent_peer(
    event: Event, number: int, pair: Sequence[Node]
) -> None:
    node, peer = pair[number], pair[1 - number]
    in_session(node, peer)
    with wireguard_log() as log:
        event(node, [peer])
        eventually(lambda: log.lines(COMPLETED, node.ifname), timeout_s=PATIENCE_S)
        assert not log.lines(STARTED, peer.ifname)
        assert peer.host.lost_pings(node.address) == 0
        assert not log.lines(GIVEN_UP, peer.ifname)


def test_a_silent_peer_learns_the_new_address_of_a_host(pair: Sequence[Node]) -> None:
    node, peer = pair
    in_session(node, peer)
    with wireguard_log() as log:
        renumber(node, [peer])
        eventually(
            lambda: peer.endpoint(node) == f"{node.host.address}:{node.agent.config['wg_port']}", timeout_s=PATIENCE_S
        )
        assert peer.host.lost_pings(node.address) == 0
        assert not log.lines(GIVEN_UP, peer.ifname)
