"""The device as its host sees it: one route for the mesh, an MTU that fits, and what others do to it undone."""

from collections.abc import Iterator
from functools import partial

import pytest

from ikto_core.values.keys import PrivateKey
from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh

pytestmark = USERSPACE
FOREIGN = str(PrivateKey.generate().public())


@pytest.fixture
def pair() -> Iterator[Mesh]:
    """Two hosts whose agents are not started yet."""
    with mesh(["wgtool"] * 2) as made:
        yield made


def routes(node: Node) -> list[str]:
    """Return the networks routed to a node's device, but for the link-local one."""
    shown = node.host.run("ip", "-6", "route", "show", "dev", node.ifname).splitlines()
    return [line.split()[0] for line in shown if not line.startswith("fe80:")]


def addresses(node: Node) -> str:
    return node.host.run("ip", "-6", "address", "show", "dev", node.ifname, "scope", "global", "up")


def has_mtu(node: Node, mtu: int) -> bool:
    return f"mtu {mtu} " in node.host.run("ip", "link", "show", node.ifname)


def test_one_route_leads_to_the_mesh_and_the_mtu_fits_the_way_there(pair: Mesh) -> None:
    small, other = pair.nodes
    small.host.run("ip", "link", "set", "eth0", "mtu", "1400")
    pair.start(small, other)
    for node, mtu in ((small, 1320), (other, 1420)):
        assert routes(node) == ["fd10::/16"]
        eventually(partial(has_mtu, node, mtu))
    eventually(partial(small.host.reaches, other.address))


def test_a_device_set_down_is_up_again_at_once_with_its_address_and_route(pair: Mesh) -> None:
    node, other = pair.nodes
    pair.start(node, other)
    eventually(partial(other.host.reaches, node.address))
    node.host.run("ip", "link", "set", node.ifname, "down")
    eventually(lambda: node.address in addresses(node), timeout_s=10)  # long before the next whole pass
    assert routes(node) == ["fd10::/16"]
    eventually(partial(other.host.reaches, node.address))


@pytest.mark.parametrize("keep", [False, True])
def test_a_peer_added_outside_ikto_is_removed_unless_foreign_peers_are_kept(pair: Mesh, keep: bool) -> None:
    node, other = pair.nodes
    node.agent.config["keep_foreign_peers"] = keep
    pair.start(node, other)
    node.host.run("wg", "set", node.ifname, "peer", FOREIGN, "allowed-ips", "192.0.2.1/32")
    node.look_again()
    shown = node.host.run("wg", "show", node.ifname, "peers")
    assert (FOREIGN in shown) is keep
    assert str(other.agent.public_key) in shown


def test_a_device_with_another_private_key_is_refused_and_unchanged(pair: Mesh) -> None:
    node, _ = pair.nodes
    key = PrivateKey.generate()
    node.host.run("wireguard-go", node.ifname)
    node.host.run("sh", "-c", f"echo {key.text} | wg set {node.ifname} private-key /dev/stdin listen-port 7")
    node.agent.start()
    assert node.agent.wait() == 6
    assert f"{node.ifname}: the device has a private key that is none of this node's" in node.agent.log_text()
    assert node.host.run("wg", "show", node.ifname, "public-key").strip() == key.public().text
    assert node.host.run("wg", "show", node.ifname, "listen-port").strip() == "7"
    node.agent.config["adopt_device"] = True
    pair.start(node)
    assert node.host.run("wg", "show", node.ifname, "public-key").strip() == node.agent.public_key.text
