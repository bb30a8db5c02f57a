"""What others do in the mesh is not felt by two peers that talk: no established session is dropped."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh
from tests.netns.traffic import pings

pytestmark = USERSPACE
PORT = 51820
ELSEWHERE = f"10.66.0.99:{PORT}"


@pytest.fixture
def five() -> Iterator[Mesh]:
    """Five hosts; the agents of the first two make a mesh."""
    with mesh(["wgtool"] * 5, wg_port=PORT) as made:
        made.start(*made.nodes[:2])
        yield made


def test_traffic_of_two_peers_loses_nothing_while_others_join_leave_and_change(five: Mesh) -> None:
    one, other, *joining = five.nodes
    address = one.address
    eventually(partial(other.host.reaches, address))
    session = other.handshake(one)
    with pings(other.host, address) as stream:
        five.start(*joining)
        for node in joining[:2]:
            five.forget(node)
        joining[0].agent.start()
        five.release(joining[0])  # its snapshot has the other one that is gone
        five.wait()
        for node in (one, joining[0]):  # the record of one that answers changes too
            node.agent.stop()
            node.agent.config["endpoints"] = [ELSEWHERE, f"{node.host.address}:{PORT}"]
            five.start(node)
            eventually(partial(is_seen_elsewhere, other, node))
    assert stream.sent > 100
    assert stream.lost <= stream.sent // 100, f"{stream.lost} of {stream.sent} lost"  # none, on a machine at rest
    assert other.handshake(one) == session, "a session was made anew"


def is_seen_elsewhere(node: Node, changed: Node) -> bool:
    """Whether a node's view has the other's changed record."""
    seen = {peer.public_key: peer.endpoints for peer in node.agent.admin.peers().peers}
    return ELSEWHERE in seen[str(changed.agent.public_key)]
