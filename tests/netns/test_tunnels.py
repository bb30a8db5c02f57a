"""Packets cross the mesh: agents as processes, each on a host of its own, with userspace WireGuard."""

import itertools
import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import eventually
from tests.netns.mesh import Mesh, mesh

NEEDED = ("ip", "ping", "wg", "wireguard-go")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="userspace WireGuard needs /dev/net/tun"),
]


@pytest.fixture
def three() -> Iterator[Mesh]:
    """Three hosts that have become a mesh, addresses found by themselves."""
    with mesh(["wgtool"] * 3) as made:
        made.start(*made.nodes)
        yield made


def test_every_host_reaches_every_other_and_a_restart_of_an_agent_is_not_felt(three: Mesh) -> None:
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
