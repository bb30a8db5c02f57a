"""Another hand touches an agent's real device: userspace WireGuard on hosts in namespaces, for root only."""

import os
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from ikto_core.values.keys import PrivateKey
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import PATIENCE_S
from tests.netns.mesh import Mesh, Node, mesh

NEEDED = ("ip", "ping", "wg", "wireguard-go")
MISSING = [program for program in NEEDED if shutil.which(program) is None]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not Path("/dev/net/tun").exists(), reason="userspace WireGuard needs /dev/net/tun"),
]


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
