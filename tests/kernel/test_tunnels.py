"""Agents on hosts in namespaces, with the kernel's WireGuard and a userspace one in one mesh: packets and repairs.

Emulated, so nothing here is quick; what repairs took is told, and what made them is shown by their order.
"""

import itertools
import sys
import time
from collections.abc import Iterator
from functools import partial

import pytest

from ikto_core.admin.device_views import DeviceView
from ikto_core.device.pass_schedule import FULL_PASS_EVERY_S
from tests.e2e.conftest import eventually
from tests.kernel.showconf import Section, showconf
from tests.netns.mesh import Mesh, Node, mesh

NETLINK, WGTOOL, USERSPACE = range(3)


@pytest.fixture(scope="module")
def three() -> Iterator[Mesh]:
    """A mesh of three: one by netlink, two by wgtool, the second of which has a userspace WireGuard."""
    with mesh(["netlink", "wgtool", "wgtool"]) as made:
        userspace = made.nodes[USERSPACE]
        userspace.host.run("wireguard-go", userspace.ifname)  # as it is there already, the backend keeps it
        made.start(*made.nodes)
        yield made


def device(node: Node) -> DeviceView:
    """The node's device, as its agent's backend reads it."""
    shown = node.agent.admin.status().device
    assert shown
    return shown


def settings(shown: DeviceView) -> tuple[object, ...]:
    """What of a device the agent cares for: no counters, no handshakes."""
    peers = {peer.public_key: (peer.allowed_ips, peer.endpoint) for peer in shown.peers}
    return shown.listen_port, shown.mtu, shown.up, shown.addresses, shown.fwmark, peers


def assert_connected(made: Mesh) -> None:
    addresses = {node: node.address for node in made.nodes}
    for one, other in itertools.permutations(made.nodes, 2):
        eventually(partial(one.host.reaches, addresses[other]))


def kind_of(node: Node) -> str:
    told = node.host.run("ip", "-oneline", "-details", "link", "show", node.ifname)
    return "wireguard" if " wireguard " in told else "tun" if " tun " in told else told


def test_netlink_wgtool_and_userspace_wireguard_are_one_mesh(three: Mesh) -> None:
    assert [kind_of(node) for node in three.nodes] == ["wireguard", "wireguard", "tun"]
    assert_connected(three)


@pytest.mark.parametrize("number", [NETLINK, WGTOOL, USERSPACE], ids=["netlink", "wgtool", "userspace"])
def test_wg_showconf_agrees_with_the_agents_view_of_the_bucket(three: Mesh, number: int) -> None:
    node = three.nodes[number]
    interface, peers = showconf(node.ifname, *node.host.exec_prefix)
    assert interface == {"ListenPort": str(node.agent.config["wg_port"]), "PrivateKey": node.agent.private_key.text}
    wanted: dict[str, Section] = {
        record.public_key: {"AllowedIPs": record.allowed_ip, "Endpoint": f"{record.advertise_address}:{record.wg_port}"}
        for record in node.agent.admin.info().peers
    }
    assert peers == wanted
    assert len(peers) == 2


@pytest.mark.parametrize("number", [NETLINK, WGTOOL], ids=["netlink", "wgtool"])
def test_a_device_changed_outside_ikto_is_repaired(
    three: Mesh, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Links and addresses at once, by their events; peers, of which the kernel reports nothing, within a minute."""
    node = three.nodes[number]
    whole = device(node)
    peer, other = (found.public_key for found in whole.peers)

    def repaired_after(*damage: str) -> float:
        node.host.run(*damage)
        damaged = time.monotonic()
        eventually(lambda: settings(device(node)) == settings(whole))
        took = time.monotonic() - damaged
        with capsys.disabled():
            sys.stdout.write(f"\n{' '.join(damage)}: repaired within {took:.1f} s")
        return took

    node.host.run("wg", "set", node.ifname, "peer", peer, "allowed-ips", "")
    repaired_after("wg", "set", node.ifname, "peer", other, "remove")
    # Events tell of what comes next; the whole pass of every minute alone would take three of its minutes to repair it.
    seconds = [
        repaired_after("ip", "link", "del", node.ifname),
        repaired_after("ip", "address", "del", whole.addresses[0], "dev", node.ifname),
        repaired_after("ip", "link", "set", node.ifname, "down"),
    ]
    assert sum(seconds) < 2 * FULL_PASS_EVERY_S, "events do not wake the agent"
    assert node.agent.admin.status().counters.reconcile.drift_repaired >= 1 + len(seconds)
    assert_connected(three)


def test_after_a_reboot_the_same_address_is_there_and_tunnels_are_again(three: Mesh) -> None:
    """The network's state is gone, the disk's stays."""
    rebooted = [three.nodes[NETLINK], three.nodes[WGTOOL]]
    before = [settings(device(node)) for node in rebooted]
    for node in rebooted:
        node.agent.kill()
        node.host.run("ip", "link", "del", node.ifname)
    three.start(*rebooted)
    assert [settings(device(node)) for node in rebooted] == before
    assert_connected(three)
