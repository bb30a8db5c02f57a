"""Another hand touches an agent's real device: userspace WireGuard on hosts in namespaces, for root only."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ikto_core.device.stalled import STALLED_AFTER, WINDOW_S
from ikto_core.lab.conversation import conversation
from ikto_core.values.keys import PrivateKey
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import PATIENCE_S
from tests.netns.mesh import Mesh, Node, mesh

NEEDED = ("ip", "nft", "ping", "wg", "wireguard-go")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

SEEN_WITHIN_S = WINDOW_S * (STALLED_AFTER + 1) + PATIENCE_S

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="userspace WireGuard needs /dev/net/tun"),
]

DROP_DATA = """
table inet one_way {
    chain arriving {
        type filter hook input priority filter
        udp dport 0-65535 @th,64,8 4 drop
    }
}
"""
"""Drops the data that arrives, and no handshake: the first byte of a message is its type (WireGuard paper, 5.4)."""


@pytest.fixture
def pair() -> Iterator[Mesh]:
    """Two hosts that reach each other through the mesh."""
    with mesh(["wgtool"] * 2) as made:
        made.start(*made.nodes)
        assert_reached(made)
        yield made


def assert_reached(made: Mesh) -> None:
    """Wait until the second host reaches the first through the tunnel."""
    first, second = made.nodes
    eventually(partial(second.host.reaches, first.address), timeout_s=PATIENCE_S)


def configuration(node: Node) -> set[str]:
    """Return what the device is configured with, but for what comes and goes with traffic."""
    lines = node.host.run("wg", "showconf", node.ifname).splitlines()
    return {line for line in lines if not line.startswith("Endpoint")}


@pytest.mark.fault("a device is deleted")
def test_deleted(pair: Mesh, converging: Stopwatch) -> None:
    """An event wakes the agent, which creates the device again."""
    node = pair.nodes[0]
    before = configuration(node)
    node.host.run("ip", "link", "del", node.ifname)
    with converging.running():
        eventually(lambda: node.ifname in node.host.run("ip", "-o", "link"))
        eventually(lambda: configuration(node) == before)
    assert_reached(pair)


@pytest.mark.fault("a device's address is removed")
def test_address_removed(pair: Mesh, converging: Stopwatch) -> None:
    """An event wakes the agent, which adds the address again."""
    node = pair.nodes[0]
    address = node.address
    node.host.run("ip", "address", "flush", "dev", node.ifname)
    with converging.running():
        eventually(lambda: address in node.host.run("ip", "-o", "address"))
        assert_reached(pair)


@pytest.mark.fault("a device's peers are changed outside Ikto: one removed, one added")
def test_peers_tampered_with(pair: Mesh, converging: Stopwatch) -> None:
    """No event reports it, but the device is read every 60 s: it is repaired, and the drift is counted."""
    node, other = pair.nodes
    before = configuration(node)
    intruder = PrivateKey.generate().public().text
    node.host.run("wg", "set", node.ifname, "peer", other.agent.public_key.text, "remove")
    node.host.run("wg", "set", node.ifname, "peer", intruder, "allowed-ips", "fd10:bad::/48")
    with converging.running():
        eventually(lambda: configuration(node) == before, timeout_s=PATIENCE_S)
    assert node.agent.admin.status().counters.reconcile.drift_repaired == 1
    assert_reached(pair)


@pytest.mark.fault("a tunnel shakes hands and passes data one way only")
def test_one_way(pair: Mesh, converging: Stopwatch) -> None:
    """The peer is stalled in the status while data is lost, and no longer."""
    node, other = pair.nodes
    with conversation(node.host, [other.address]):
        subprocess.run([*node.host.exec_prefix, "nft", "-f", "-"], input=DROP_DATA, text=True, check=True)
        eventually(lambda: stalled(node), timeout_s=SEEN_WITHIN_S)
        assert not stalled(other), "it gets the data"
        node.host.run("nft", "delete", "table", "inet", "one_way")
        with converging.running():
            eventually(lambda: not stalled(node), timeout_s=SEEN_WITHIN_S)


def stalled(node: Node) -> bool:
    """Look at the device again, and return whether its peer is stalled."""
    node.look_again()
    device = node.agent.admin.status().device
    assert device
    return any(peer.stalled for peer in device.peers)
