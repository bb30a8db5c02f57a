"""A peer behind a real tunnel that does not answer is reported with its name, and so is its return."""

from collections.abc import Iterator

import pytest

from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh
from tests.netns.traffic import shouting
from tests.raw_http import get

pytestmark = USERSPACE


@pytest.fixture
def pair() -> Iterator[Mesh]:
    with mesh(["wgtool"] * 2) as made:
        made.start(*made.nodes)
        yield made


def says(node: Node, *words: str) -> bool:
    """Look at the device again, and return whether a line of the log has these words."""
    node.agent.admin.resync()
    return any(all(word in line for word in words) for line in node.agent.log_text().splitlines())


def test_a_peer_whose_host_is_cut_off_is_unreachable_until_it_is_back(pair: Mesh) -> None:
    one, other = pair.nodes
    address = other.agent.admin.status().private_address
    assert address
    with shouting(one.host, address):
        eventually(lambda: one.handshake(other))
        assert not says(one, "peer unreachable")
        other.host.run("ip", "link", "set", "eth0", "down")
        eventually(lambda: says(one, "[warning", "peer unreachable", f"name={other.agent.name}", "no answer from"))
        device = one.agent.admin.status().device
        assert device
        assert [peer.unreachable for peer in device.peers] != [None]
        assert "\nikto_unreachable_peers 1.0\n" in get(one.agent.socket, "/metrics")
        other.host.run("ip", "link", "set", "eth0", "up")
        eventually(lambda: says(one, "[info", "peer reachable again", f"name={other.agent.name}"))
    assert "\nikto_unreachable_peers 0.0\n" in get(one.agent.socket, "/metrics")
    lines = [line for line in one.agent.log_text().splitlines() if "reachable" in line]
    assert len(lines) == 2, "one line for each change"


def test_the_first_contact_is_measured(pair: Mesh) -> None:
    one, other = pair.nodes
    address = other.agent.admin.status().private_address
    assert address
    with shouting(one.host, address):
        eventually(lambda: one.handshake(other))
        one.look_again()
    timings = one.agent.admin.status().timings
    assert timings
    assert timings.first_contact.count == 1
    assert timings.applied.count >= 1
