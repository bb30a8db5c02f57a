"""The kernel's WireGuard changes its private key as a rotation needs it: what comes in the old session is received."""

import sys
from collections.abc import Iterator
from functools import partial

import pytest

from ikto_core.disk.key_file import load_private_key
from tests.e2e.conftest import IMPATIENT, eventually
from tests.netns.mesh import Mesh, Node, mesh
from tests.netns.traffic import pings

STALL = 250
"""So many pings are sent before WireGuard tries a handshake again that came too early, which takes it 5 s."""


@pytest.fixture
def pair() -> Iterator[Mesh]:
    """A mesh of two, by netlink and by wgtool, both in the kernel."""
    with mesh(["netlink", "wgtool"]) as made:
        for node in made.nodes:
            node.agent._command = (*node.host.exec_prefix, sys.executable, "-m", *IMPATIENT)
        made.start(*made.nodes)
        yield made


def rotated(node: Node, next_key: str) -> bool:
    return node.agent.admin.status().public_key == next_key


def test_the_kernels_wireguard_rotates_its_key_under_traffic_without_a_stall(pair: Mesh) -> None:
    one, other = pair.nodes
    there, back = one.address, other.address
    eventually(partial(other.host.reaches, there))
    for node in (one, other):
        with pings(other.host, there) as asked, pings(one.host, back) as asking:
            next_key = node.agent.admin.rotate_key().next_public_key
            eventually(partial(rotated, node, next_key))
            node.agent.private_key = load_private_key(node.agent.directory / "key")
            eventually(partial(one.handshake, other))
            eventually(partial(other.handshake, one))
            pair.wait()
        for stream in (asked, asking):
            assert stream.lost < STALL, f"{stream.lost} of {stream.sent} lost"
