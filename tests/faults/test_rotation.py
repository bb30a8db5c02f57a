"""A key is rotated under traffic, in both directions, and beside it WireGuard renews a session by itself."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from ikto_core.disk.key_file import load_private_key
from ikto_core.lab.network import run
from tests.e2e.conftest import IMPATIENT, eventually
from tests.faults.conftest import Stopwatch
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh
from tests.netns.traffic import Pings, pings

RENEWED_AFTER_S = 120
"""REKEY_AFTER_TIME of the WireGuard paper: a session in use is renewed by the side that began it."""

MOST_LOST = 2
"""Packets that may be on their way when the traffic is stopped, on a machine that runs everything else at once."""

pytestmark = USERSPACE[1:]


@pytest.fixture
def pair() -> Iterator[Mesh]:
    """Two hosts that are a mesh; the agents give peers a tenth of a second to learn a key."""
    with mesh(["wgtool"] * 2) as made:
        for node in made.nodes:
            node.agent._command = (*node.host.exec_prefix, sys.executable, "-m", *IMPATIENT)
        made.start(*made.nodes)
        yield made


def rotate(node: Node) -> None:
    """Have an agent rotate its key, as an operator does."""
    run(sys.executable, "-m", "ikto_core", "key", "rotate", "-s", str(node.agent.socket))
    node.agent.private_key = load_private_key(node.agent.directory / "key")


@contextmanager
def talking(pair: Mesh) -> Iterator[tuple[Pings, Pings]]:
    """Have each ping the other in a steady stream for the length of a block."""
    one, other = pair.nodes
    with pings(other.host, one.address) as asked, pings(one.host, other.address) as asking:
        yield asked, asking


@pytest.mark.fault("a key is rotated under traffic; for comparison, WireGuard renews a session by itself")
@pytest.mark.timeout(RENEWED_AFTER_S + 180)
def test_a_rotation_loses_nothing(pair: Mesh, converging: Stopwatch) -> None:
    """What is sent after the device has the new key, and before its peers have it, waits in WireGuard's queue."""
    one, other = pair.nodes
    eventually(partial(other.host.reaches, one.address))
    with talking(pair) as renewal:
        before = one.handshake(other)
        eventually(lambda: one.handshake(other) != before, timeout_s=RENEWED_AFTER_S + 30)
        time.sleep(1)  # of traffic in the new session
    rotations: list[Pings] = []
    for node in (one, other, one):
        with talking(pair) as rotation, converging.running():
            rotate(node)
            eventually(partial(one.handshake, other))
            eventually(partial(other.handshake, one))
            pair.wait()
        rotations += rotation
    said = f"renewal {[(s.lost, s.sent) for s in renewal]}, rotations {[(s.lost, s.sent) for s in rotations]}"
    print(said)  # noqa: T201 - for docs/decisions/0011
    assert all(stream.sent > 20 for stream in (*renewal, *rotations))
    assert max(stream.lost for stream in rotations) <= MOST_LOST, said
