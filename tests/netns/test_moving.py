"""A host that moves while its agent runs: its record, its MTU and its connection to NATS follow at once."""

from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh
from tests.netns.test_device import has_mtu

pytestmark = USERSPACE
MOVED, MOVED6 = "10.66.0.77", "2001:db8:66::77"
SOON_S = 10
"""Before the connection to NATS ends by itself: two pings must stay unanswered for that, 20 s."""


@pytest.fixture
def pair() -> Iterator[Mesh]:
    """Two hosts whose agents have made a mesh."""
    with mesh(["wgtool"] * 2) as made:
        made.start(*made.nodes)
        yield made


def known_endpoints(node: Node) -> tuple[str, ...]:
    """Return the endpoints of a node's only peer, as the bucket has them."""
    (peer,) = node.agent.admin.peers().peers
    return peer.endpoints


def sessions(node: Node) -> int:
    return node.agent.admin.status().counters.connection.sessions


def test_a_renumbered_host_is_followed_at_once(pair: Mesh) -> None:
    """Its connection to NATS has an address that is gone."""
    moving, other = pair.nodes
    before, port = moving.address, known_endpoints(other)[0].rpartition(":")[2]
    moving.host.run("ip", "address", "del", f"{moving.host.address}/24", "dev", "eth0")
    moving.host.run("ip", "address", "add", f"{MOVED}/24", "dev", "eth0")
    eventually(lambda: known_endpoints(other) == (f"{MOVED}:{port}",), timeout_s=SOON_S)
    assert moving.address == before
    eventually(partial(other.host.reaches, moving.address))


def test_a_host_with_a_better_address_and_a_smaller_mtu_keeps_its_connection(pair: Mesh) -> None:
    moving, other = pair.nodes
    port = known_endpoints(other)[0].rpartition(":")[2]
    moving.host.run("ip", "address", "add", f"{MOVED}/24", "dev", "eth0")
    moving.host.run("ip", "route", "replace", "10.66.0.0/24", "dev", "eth0", "src", MOVED)
    eventually(lambda: known_endpoints(other) == (f"{MOVED}:{port}",), timeout_s=SOON_S)
    moving.host.run("ip", "link", "set", "eth0", "mtu", "1400")
    eventually(partial(has_mtu, moving, 1320), timeout_s=SOON_S)
    moving.host.run("ip", "address", "add", f"{MOVED6}/64", "dev", "eth0", "nodad")
    moving.host.run("ip", "route", "add", "default", "via", "2001:db8:66::1")
    eventually(lambda: known_endpoints(other) == (f"{MOVED}:{port}", f"[{MOVED6}]:{port}"), timeout_s=SOON_S)
    assert sessions(moving) == 1
