"""Peers find each other and are not lost again: far ones that speak at once, ones behind NAT, ones that moved."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from shutil import which

import pytest

from ikto_core.lab.network import Host
from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh, mesh_with_nat
from tests.netns.nat import INSIDE
from tests.netns.relay import FIRST_PORT, PORT
from tests.netns.traffic import shouting

pytestmark = USERSPACE
ONE_WAY_MS = 250
OUTSIDE, MOVED = "10.66.0.2", "10.66.0.77"
FIRST_RETRY_S = 5  # REKEY_TIMEOUT of the WireGuard paper


@contextmanager
def relay(hub: Host, hosts: Sequence[Host]) -> Iterator[None]:
    """Make the hub a long way between these hosts."""
    command = [*hub.exec_prefix, sys.executable, "-m", "tests.netns.relay", hub.address, str(ONE_WAY_MS)]
    addresses = [host.address for host in hosts]
    root = Path(__file__).parents[2]
    with subprocess.Popen([*command, *addresses], cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield
        finally:
            process.kill()


@pytest.fixture
def far_pair() -> Iterator[Mesh]:
    """Two hosts, far from each other, whose agents are not started yet."""
    with mesh(["wgtool"] * 2, wg_port=PORT) as made, relay(made.hub, [node.host for node in made.nodes]):
        for number, node in enumerate(made.nodes):
            endpoint = f"{made.hub.address}:{FIRST_PORT + number}"
            node.agent.config |= {"private_address": f"fd10:{number + 1}::1", "endpoints": [endpoint]}
        yield made


def test_two_new_peers_that_send_at_once_do_not_stall(far_pair: Mesh) -> None:
    """Both send to each other from before they are peers: each would start a handshake as soon as they are."""
    one, other = far_pair.nodes
    with shouting(one.host, "fd10:2::1"), shouting(other.host, "fd10:1::1"):
        far_pair.start(one, other)
        for node, peer in ((one, other), (other, one)):
            eventually(partial(node.handshake, peer), timeout_s=FIRST_RETRY_S - 1)


@pytest.fixture
def natted() -> Iterator[Mesh]:
    """Two hosts whose agents have made a mesh; the second is behind a third, and nobody outside has a way to it."""
    if not which("nft"):
        pytest.skip("not installed: nft, which translates addresses")
    with mesh_with_nat(["wgtool"] * 2, wg_port=PORT) as made:
        made.start(*made.nodes)
        yield made


def test_the_endpoint_of_a_peer_behind_nat_is_left_unchanged_and_followed(natted: Mesh) -> None:
    public, hidden = natted.nodes
    router = Host(hidden.host.namespace.removesuffix("-in"), OUTSIDE)
    eventually(partial(hidden.host.reaches, public.address))
    session = public.handshake(hidden)
    assert public.endpoint(hidden).startswith(f"{OUTSIDE}:")
    public.look_again()
    hidden.agent.stop()
    hidden.agent.config["endpoints"] = ["192.0.2.1:51820", f"{INSIDE}:51820"]
    natted.start(hidden)
    eventually(lambda: "192.0.2.1:51820" in str(public.agent.admin.peers()))
    public.look_again()
    assert public.host.reaches(hidden.address)
    router.run("ip", "address", "del", f"{OUTSIDE}/24", "dev", "eth0")
    router.run("ip", "address", "add", f"{MOVED}/24", "dev", "eth0")
    eventually(partial(hidden.host.reaches, public.address))
    assert public.endpoint(hidden).startswith(f"{MOVED}:")
    public.look_again()
    assert public.host.reaches(hidden.address)
    assert public.handshake(hidden) == session, "a session was made anew"


def test_a_restarted_agent_leaves_an_idle_peer_behind_nat_unchanged(natted: Mesh, tmp_path: Path) -> None:
    """By the clock of the host that is restarted its session is over for an hour."""
    public, hidden = natted.nodes
    eventually(partial(hidden.host.reaches, public.address))
    (tmp_path / "offset").write_text("3600")
    public.agent.stop()
    public.agent._command = (
        *public.host.exec_prefix,
        sys.executable,
        "-m",
        "tests.faults.shifted_clock",
        str(tmp_path / "offset"),
    )
    natted.start(public)
    public.look_again()
    assert public.endpoint(hidden).startswith(f"{OUTSIDE}:")
    assert public.host.reaches(hidden.address)


@pytest.fixture
def three() -> Iterator[Mesh]:
    """Three hosts; the agents of the first two make a mesh."""
    with mesh(["wgtool"] * 3, wg_port=PORT) as made:
        made.start(*made.nodes[:2])
        yield made


def test_a_peer_that_moved_and_one_whose_first_endpoint_is_dead_are_found(three: Mesh) -> None:
    """Neither of them sends anything by itself. Both within a turn or little more: 20 s."""
    node, moving, hidden = three.nodes
    shake_hands(node, moving)
    moving.host.run("ip", "address", "del", f"{OUTSIDE}/24", "dev", "eth0")
    moving.host.run("ip", "address", "add", f"{MOVED}/24", "dev", "eth0")
    moving.agent.kill()
    hidden.agent.config["endpoints"] = ["10.66.0.99:51820", f"{hidden.host.address}:51820"]
    three.start(moving, hidden)
    with shouting(node.host, moving.address), shouting(node.host, hidden.address):
        eventually(partial(node.handshake, hidden), timeout_s=60)
        eventually(lambda: node.endpoint(moving) == f"{MOVED}:51820")
    assert node.host.reaches(moving.address)
    assert node.host.reaches(hidden.address)


def shake_hands(node: Node, other: Node) -> None:
    """Make a session without data, which would have to be answered."""
    keepalive = partial(node.host.run, "wg", "set", node.ifname, "peer", str(other.agent.public_key))
    keepalive("persistent-keepalive", "1")
    eventually(partial(node.handshake, other))
    keepalive("persistent-keepalive", "0")
