"""A key is rotated under traffic, in both directions, and it is not felt more than when WireGuard renews a session."""

import sys
from collections.abc import Iterator
from functools import partial

import pytest

from ikto_core.keyfile import load_private_key
from ikto_core.testing.network import run
from tests.e2e.conftest import IMPATIENT, eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh
from tests.netns.traffic import pings

pytestmark = USERSPACE


@pytest.fixture
def pair() -> Iterator[Mesh]:
    """Two hosts that are a mesh; the agents give peers a tenth of a second to learn a key."""
    with mesh(["wgtool"] * 2) as made:
        for node in made.nodes:
            node.agent._command = (*node.host.within, sys.executable, "-m", *IMPATIENT)
        made.start(*made.nodes)
        yield made


def rotate(node: Node) -> None:
    """Have an agent rotate its key, as an operator does."""
    run(sys.executable, "-m", "ikto_core", "key", "rotate", "-s", str(node.agent.socket))
    node.agent.private_key = load_private_key(node.agent.directory / "key")


def test_a_rotation_under_traffic_is_felt_no_more_than_a_new_session(pair: Mesh) -> None:
    """No or one packet each way, at a packet every 20 ms, as when WireGuard renews a session; a stall would be 5 s."""
    one, other = pair.nodes
    there, back = one.address, other.address
    eventually(partial(other.host.reaches, there))
    for node in (one, other, one):
        with pings(other.host, there) as asked, pings(one.host, back) as asking:
            rotate(node)
            eventually(partial(one.handshake, other))
            eventually(partial(other.handshake, one))
            pair.wait()
        for stream in (asked, asking):
            assert stream.sent > 20
            assert stream.lost <= 5, f"{stream.lost} of {stream.sent} lost"  # on a busy machine
