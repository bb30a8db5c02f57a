"""`ikto why` and `ikto ping` name the true cause of each fault of a real tunnel: userspace WireGuard in namespaces."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from shutil import which
from typing import Any

import pytest

from ikto_core.admin.why_views import Cause, Diagnosis, Mark
from ikto_core.cli.exit_codes import NOT_REACHABLE
from ikto_core.client import WHY_TIMEOUT_S, AdminClient
from ikto_core.lab.hosted import IKTO
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.store.bucket import Bucket
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PrivateKey
from tests.e2e.conftest import eventually
from tests.netns.mesh import USERSPACE, Mesh, Node, mesh

pytestmark = [*USERSPACE, pytest.mark.skipif(not which("nft"), reason="not installed: nft")]

DROPPED = {
    "data": "udp dport 0-65535 @th,64,8 4 drop",  # the first byte of a message is its type (WireGuard paper, 5.4)
    "udp": "udp dport 0-65535 drop",
    "large": "meta length > 1400 drop",
    "both": "ip saddr { 10.66.0.1, 10.66.0.2 } drop",
}


RULES = """
table inet fault {
    chain arriving {
        type filter hook input priority filter
        WHAT
    }
}
"""


@pytest.fixture(scope="module")
def pair() -> Iterator[Mesh]:
    """Two hosts that reach each other through the mesh."""
    with mesh(["wgtool"] * 2) as made:
        made.start(*made.nodes)
        first, second = made.nodes
        eventually(partial(first.host.reaches, second.address))
        yield made


@contextmanager
def dropping(node: Node, what: str) -> Iterator[None]:
    """Have a host drop some of the packets that arrive."""
    rules = RULES.replace("WHAT", DROPPED[what])
    subprocess.run([*node.host.exec_prefix, "nft", "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        node.host.run("nft", "delete", "table", "inet", "fault")


def add_stranger(made: Mesh, number: int, endpoint: str) -> str:
    """Write the record of a node that does not exist; return its name once it is on every device."""
    record = PeerRecord(
        name=f"stranger-{number}",
        public_key=PrivateKey.generate().public(),
        advertise_address="10.66.0.99",
        allowed_ip=f"fd10:{number:x}::/48",
        wg_port=51820,
        endpoints=(Endpoint.parse(endpoint),),
    )

    async def put(bucket: Bucket) -> int:
        return await bucket.put(record.key, encode_record(record), expected=0)

    made._made.on_bucket(put)
    for node in made.nodes:
        eventually(partial(shows, node, record.name))
    return record.name


def shows(node: Node, name: str) -> bool:
    return name in str(node.agent.admin.status().device)


def ping(node: Node, target: str) -> tuple[dict[str, Any], int]:
    """Run `ikto ping` on a node's host."""
    command = [*node.host.exec_prefix, *IKTO, "ping", target, "-s", str(node.agent.socket), "--count", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout), done.returncode


def why(node: Node, target: str) -> Diagnosis:
    """Ask a node's agent, and see that the verdict fits its links."""
    found = AdminClient(node.agent.socket, timeout_s=WHY_TIMEOUT_S).why(target)
    faults = [link for link in found.links if link.mark is Mark.FAULT]
    assert (found.verdict.cause in {Cause.NONE, Cause.UNCERTAIN}) == (not faults)
    return found


def test_nothing_is_wrong(pair: Mesh) -> None:
    first, second = pair.nodes
    found = why(first, "node-2")
    assert found.verdict.reachable
    assert found.verdict.cause is Cause.NONE
    assert found.path
    assert found.path.address == second.address
    assert found.links[-1].mark is Mark.OK
    assert found.links[-1].text.startswith("this node is active")
    pings, code = ping(first, second.address)
    assert code == 0
    for way, mtu in (("tunnel", 1420), ("underlay", 1500)):
        assert len(pings[way]["round_trips_s"]) == 2
        assert pings[way]["path_mtu"] == mtu
    assert pings["underlay"]["to"] == first.endpoint(second)


def test_without_rights_ping_uses_a_closed_port(pair: Mesh) -> None:
    """Nobody may ping (net.ipv4.ping_group_range), and there is no CAP_NET_RAW."""
    first, second = pair.nodes
    first.host.run("sysctl", "-q", "-w", "net.ipv4.ping_group_range=1 0")
    command = ("setpriv", "--bounding-set", "-net_raw", "--inh-caps", "-net_raw", *IKTO)
    arguments = ("ping", second.address, "-s", str(first.agent.socket), "--count", "1", "--json")
    pings = json.loads(first.host.run(*command, *arguments))
    assert pings["tunnel"]["method"] == "UDP"
    assert len(pings["tunnel"]["round_trips_s"]) == 1


@pytest.mark.parametrize(
    ("number", "endpoint", "cause", "words"),
    [
        (0x91, "10.66.0.99:51820", Cause.HOST_UNREACHABLE, "10.66.0.99:51820"),
        (0x92, "10.66.0.2:51999", Cause.PORT_CLOSED, "nothing listens on 10.66.0.2:51999"),
        (0x93, "[2001:db8::5]:51820", Cause.NO_ROUTE, "no IPv6 route"),
        (0x94, "127.0.0.1:51820", Cause.NO_ENDPOINT, "a loopback address"),
    ],
)
def test_an_endpoint_where_nobody_answers(pair: Mesh, number: int, endpoint: str, cause: Cause, words: str) -> None:
    found = why(pair.nodes[0], add_stranger(pair, number, endpoint))
    assert found.verdict.reachable is False
    assert found.verdict.cause is cause
    assert words in found.verdict.sentence


def test_data_is_dropped_and_handshakes_pass(pair: Mesh) -> None:
    first, _ = pair.nodes
    with dropping(first, "data"):
        found = why(first, "node-2")
        pings, code = ping(first, "node-2")
    assert found.verdict.reachable is False
    assert found.verdict.cause is Cause.STALLED
    assert pings["verdict"]["cause"] == Cause.STALLED.value
    assert (pings["tunnel"]["sent"], pings["tunnel"]["round_trips_s"], code) == (2, [], NOT_REACHABLE)
    assert len(pings["underlay"]["round_trips_s"]) == 2


def test_nothing_passes_between_two_hosts(pair: Mesh) -> None:
    first, second = pair.nodes
    with dropping(first, "both"), dropping(second, "both"):
        found = why(first, "node-2")
    assert found.verdict.reachable is False
    assert found.verdict.cause is Cause.DEAD_ENDPOINT
    assert f"nothing answers at {first.endpoint(second)}" in found.verdict.sentence


def test_an_mtu_black_hole(pair: Mesh) -> None:
    first, second = pair.nodes
    with dropping(second, "large"):
        found = why(first, "node-2")
        pings, code = ping(first, "node-2")
    assert found.verdict.cause is Cause.MTU_BLACK_HOLE
    assert found.verdict.reachable
    assert "1420 bytes are lost" in found.verdict.sentence
    assert code == 0
    assert pings["verdict"]["cause"] == Cause.MTU_BLACK_HOLE.value
    assert 1280 <= pings["tunnel"]["path_mtu"] < 1400
    assert pings["underlay"]["path_mtu"] in {1399, 1400}


def test_packets_pass_one_way(pair: Mesh) -> None:
    """The host that drops what arrives is still heard by the other, whose agent says so over NATS."""
    first, second = pair.nodes
    with dropping(first, "udp"):
        here = why(first, "node-2")
        there = why(second, "node-1")
    assert here.verdict.cause is there.verdict.cause is Cause.ONE_WAY
    assert "the peer's do not arrive here" in here.verdict.sentence
    assert "this node's do not arrive there" in there.verdict.sentence
