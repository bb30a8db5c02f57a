"""A program that runs an agent itself knows when packets reach it: its peers' devices show it, each of them."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from socket import AF_INET, SOCK_DGRAM, socket
from typing import Any

import pytest

from ikto_core.lab.network import network
from ikto_core.underlay import handshake_probe
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh

pytestmark = USERSPACE


@pytest.fixture
def three() -> Iterator[Mesh]:
    """Three hosts, of which the first two are a mesh."""
    with mesh(["wgtool"] * 3) as made:
        made.start(*made.nodes[:2])
        yield made


@contextmanager
def embedded(node: Node) -> Iterator[dict[str, Any]]:
    """Run a program with an agent in it on a host; yield what it said once it was shown."""
    command = [*node.host.exec_prefix, sys.executable, "-m", "tests.netns.embedder", json.dumps(node.agent.config)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout
            yield json.loads(program.stdout.readline())
            program.communicate(timeout=10)
            assert program.returncode == 0
        finally:
            program.kill()


def test_the_first_packets_pass_once_the_peers_show_the_node_and_still_pass_when_it_ends(three: Mesh) -> None:
    joins, peers = three.nodes[2], three.nodes[:2]
    with embedded(joins) as shown:
        assert shown["missing"] == []
        assert all(joins.handshake(peer) for peer in peers), "nothing was sent to them but by us"
        for peer in peers:
            assert peer.host.lost_pings(shown["address"], count=1) == 0
            assert joins.host.lost_pings(peer.address, count=1) == 0
    for peer in peers:
        assert peer.host.lost_pings(shown["address"], count=1) == 0, "device and record stay"


def test_a_peer_that_is_off_is_reported_and_a_rotation_does_not_wait_for_it(three: Mesh) -> None:
    on, off, joins = three.nodes
    off.agent.stop()
    off.host.run("ip", "link", "delete", off.ifname)
    with embedded(joins) as shown:
        assert shown["missing"] == [off.agent.name]
        assert on.host.lost_pings(shown["address"], count=1) == 0


def test_probes_are_sent_in_the_namespace_of_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    with network(1) as (_, [host]), host.call(lambda: socket(AF_INET, SOCK_DGRAM)) as receiver:
        receiver.settimeout(10)
        receiver.bind(("127.0.0.1", 0))
        monkeypatch.setattr(handshake_probe, "DISCARD_PORT", receiver.getsockname()[1])
        handshake_probe.probe_handshakes("127.0.0.1", ["127.0.0.1"], host.namespace)
        assert receiver.recv(10) == b""
