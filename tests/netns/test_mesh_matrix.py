"""`ikto mesh` on real tunnels: who hears whom, and a way that is blocked in one direction."""

import sys
from shutil import which

import msgspec
import pytest

from ikto_core.fleet.heard import Heard
from ikto_core.fleet.matrix import Link
from ikto_core.fleet.overview import MeshOverview
from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh

pytestmark = USERSPACE


def asked(mesh: Mesh) -> MeshOverview:
    """Return the mesh as `ikto mesh` on the hub finds it."""
    command = (sys.executable, "-m", "ikto_core", "mesh", "--json", "--nats-url", mesh.server.url)
    return msgspec.json.decode(mesh.hub.run(*command), type=MeshOverview)


def block(sender: Node, receiver: Node) -> None:
    """Drop what one host sends to the WireGuard port of another."""
    for rule in ("add table inet blocked", "add chain inet blocked out { type filter hook output priority 0; }"):
        sender.host.run("nft", rule)
    sender.host.run("nft", f"add rule inet blocked out ip daddr {receiver.host.address} udp dport 51820 drop")


def test_a_way_that_is_blocked_in_one_direction_is_one_way_by_both_words() -> None:
    if not which("nft"):
        pytest.skip("not installed: nft, which drops packets")
    with mesh(["wgtool"] * 3, persistent_keepalive=5, wg_port=51820) as made:
        deaf, mute, sound = made.nodes
        block(mute, deaf)
        made.start(*made.nodes)

        def seen() -> MeshOverview:
            for node in made.nodes:
                node.agent.admin.resync()
            found = asked(made)
            assert found.missing == 0
            assert found.links == {Link.ONE_WAY: 1, Link.ACTIVE: 2}
            return found

        found = eventually(seen, timeout_s=240)
        numbers = {node.public_key: number for number, node in enumerate(found.nodes)}
        deaf_number, mute_number = (numbers[str(node.agent.public_key)] for node in (deaf, mute))
        (link,) = found.troubled
        words = dict(zip(link.nodes, link.words, strict=True))
        assert words[mute_number] is Heard.HALF_OPEN
        assert words[deaf_number] in {Heard.UNANSWERED, Heard.NEVER}  # its tries begin anew when the peer is kicked
        assert link.asymmetric
        assert sound.agent.admin.status().version == found.nodes[0].version
