"""Packets cross the mesh: agents as processes, each on a host of its own, with userspace WireGuard."""

import itertools
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, mesh

pytestmark = USERSPACE


@pytest.fixture
def three() -> Iterator[Mesh]:
    """Three hosts that have become a mesh, addresses found by themselves."""
    with mesh(["wgtool"] * 3) as made:
        made.start(*made.nodes)
        yield made


def test_every_host_reaches_every_other_and_an_agents_restart_loses_no_packet(three: Mesh) -> None:
    addresses = {node: node.address for node in three.nodes}
    for one, other in itertools.permutations(three.nodes, 2):
        eventually(partial(one.host.reaches, addresses[other]))
    restarted, other, _ = three.nodes
    sessions = other.handshakes()
    restarted.agent.stop()
    assert other.host.lost_pings(addresses[restarted]) == 0, "tunnels do not need the agent"
    three.start(restarted)
    assert other.host.lost_pings(addresses[restarted]) == 0
    assert other.handshakes() == sessions, "no session was made anew"
