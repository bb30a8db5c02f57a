"""The device MTU leaves room for WireGuard's overhead on the path to the peers and is at least the IPv6 minimum."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.underlay.paths import Link, Route, choose_mtu
from ikto_core.values.addressing import Prefix
from tests.underlay.lan import BRIDGE, LAN, run_on_host

MESH = Prefix.parse("fd10::/16")
SOURCE = ip_address("10.1.0.2")
ROUTE = Route("route to it", SOURCE, 1500)
ETH0 = Link("eth0", None, frozenset({SOURCE}), 1500)

PROBE = """
import asyncio, sys, structlog
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.addressing import Prefix
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
monitor = UnderlayMonitor("192.0.2.1", Prefix.parse("fd10::/16"), "wg0")
asyncio.run(monitor.connected(sys.argv[1], keep_trying=False))
print(monitor.found.mtu)
"""
JUMBO = (
    "ip link add eth1 mtu 9000 type veth peer name far1\nip link set far1 up\n"
    "ip address add 10.2.0.2/24 dev eth1\nip link set eth1 up"
)
DEFAULT = "ip -6 route del default\nip route replace default via 10.1.0.1"
SERVER, FAR = "nats://10.9.9.9:4222", "nats://10.2.0.9:4222"


@given(st.integers(68, 65535), st.integers(68, 65535))
def test_it_is_the_smaller_of_route_and_link_mtu_minus_80_and_at_least_1280(route: int, link: int) -> None:
    found = choose_mtu([Route("", SOURCE, route)], [Link("eth0", None, frozenset({SOURCE}), link)], MESH, "wg0")
    assert found == max(1280, min(route, link) - 80)


@pytest.mark.parametrize(
    ("source", "link"),
    [
        (None, ETH0),
        ("10.1.0.3", ETH0),
        ("127.0.0.1", Link("lo", None, frozenset({ip_address("127.0.0.1")}), 65536)),
        ("10.1.0.4", Link("lo", None, frozenset({ip_address("10.1.0.4")}), 65536)),
        ("fd10::1", Link("eth0", None, frozenset({ip_address("fd10::1")}), 1400)),
        ("10.1.0.5", Link("wg0", "wireguard", frozenset({ip_address("10.1.0.5")}), 1400)),
    ],
    ids=["no route", "on no link", "this host", "the loopback", "the mesh", "the mesh device"],
)
def test_a_route_that_does_not_lead_to_peers_is_ignored(source: str | None, link: Link) -> None:
    unusable = Route("", None if source is None else ip_address(source), 65536)
    assert choose_mtu([unusable], [link], MESH, "wg0") is None
    assert choose_mtu([unusable, ROUTE], [link, ETH0], MESH, "wg0") == 1420


def test_the_smallest_of_all_paths_counts() -> None:
    """As where jumbo frames pass on the way to NATS only."""
    jumbo = Link("eth1", None, frozenset({ip_address("10.2.0.2")}), 9000)
    to_server = Route("route to the server", ip_address("10.2.0.2"), 9000)
    assert choose_mtu([to_server, ROUTE], [jumbo, ETH0], MESH, "wg0") == 1420
    assert choose_mtu([to_server], [jumbo], MESH, "wg0") == 8920
    assert choose_mtu([to_server], [jumbo, ETH0], MESH, "wg0", advertised=[str(SOURCE)]) == 1420


@pytest.mark.parametrize("source", ["fd10::1", "169.254.7.1", "10.2.0.1"])
def test_the_link_of_the_default_route_counts_whatever_its_source_address(source: str) -> None:
    """As in a mesh whose network contains the host's own, and with jumbo frames (9001 bytes) on the way to NATS."""
    jumbo = Link("eth1", None, frozenset({SOURCE}), 9001)
    uplink = Link("eth0", None, frozenset({ip_address(source)}), 1500, is_uplink=True)
    routes = [Route("to the server", SOURCE, 9001), Route("default", ip_address(source), 1500)]
    assert choose_mtu(routes, [jumbo, uplink], MESH, "wg0") == 1420
    assert choose_mtu([routes[0], Route("default", ip_address(source), 1400)], [jumbo, uplink], MESH, "wg0") == 1320
    assert choose_mtu([routes[0]], [jumbo, uplink], MESH, "wg0") == 1420
    through_mesh = Link("wg0", "wireguard", frozenset({ip_address(source)}), 1300, is_uplink=True)
    assert choose_mtu(routes, [jumbo, through_mesh], MESH, "wg0") == 8921


@pytest.mark.parametrize(
    ("change", "server", "mtu"),
    [
        ("", SERVER, "1420"),
        ("ip link set eth0 mtu 1450", SERVER, "1370"),
        ("ip link set eth0 mtu 9000", SERVER, "8920"),
        ("ip route replace default via 10.1.0.1 mtu 1400", SERVER, "1320"),
        ("ip route replace default via 10.1.0.1 mtu 1300", SERVER, "1280"),
        ("ip route add 10.9.9.0/24 via 10.1.0.1 mtu 1440", SERVER, "1360"),
        ("ip link set eth0 mtu 1400", "nats://127.0.0.1:4222", "1320"),
        ("ip link set eth0 mtu 1400", "nats://10.1.0.2:4222", "1320"),
        ("ip -6 route replace default via 2001:db8:1::1 mtu 1410", "nats://[2001:db8:9::9]:4222", "1330"),
        (f"{BRIDGE}\nip link set lan1 mtu 1390", "nats://10.7.0.9:4222", "1310"),
        (JUMBO, "nats://10.2.0.9:4222", "1420"),
        (f"{JUMBO}\nip address add 10.1.0.7/32 dev lo\n{DEFAULT} src 10.1.0.7", FAR, "1420"),
        (f"{JUMBO}\nip address add 169.254.9.2/24 dev eth0\n{DEFAULT} src 169.254.9.2", FAR, "1420"),
        ("ip link set eth0 down", SERVER, "None"),
    ],
    ids=[
        "ethernet",
        "link",
        "jumbo",
        "route",
        "least",
        "server's",
        "local",
        "own address",
        "ipv6",
        "bridge",
        "jumbo to the server",
        "default route with an address of the loopback",
        "default route with a link-local address",
        "none",
    ],
)
def test_on_a_real_host_it_follows_route_and_link(change: str, server: str, mtu: str) -> None:
    assert run_on_host(PROBE, f"{LAN}\n{change}", server) == mtu


FOLLOW = """
import asyncio, sys, structlog
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.addressing import Endpoint, Prefix
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
monitor = UnderlayMonitor(None, Prefix.parse("fd10::/16"), "wg0")

async def main():
    await monitor.connected(sys.argv[1], keep_trying=False)
    print(monitor.found.mtu, end=" ")
    changed = asyncio.Event()
    monitor.on_change = lambda _: changed.set()
    task = asyncio.create_task(monitor.follow_peers())
    print(monitor.reaches(Endpoint("10.2.0.7", 1)), monitor.reaches(Endpoint("10.9.0.7", 1)), end=" ")
    print(monitor.reaches(Endpoint("10.1.0.7", 1)), end=" ")
    async with asyncio.timeout(60):
        await changed.wait()
    print(monitor.found.mtu)
    task.cancel()

asyncio.run(main())
"""


def test_without_a_default_route_the_link_of_each_peer_counts() -> None:
    """As where NATS is in a network with jumbo frames, and peers are also in one without."""
    only_near = f"{LAN}\nip route del default\nip -6 route del default\n{JUMBO.replace('9000', '9001')}"
    assert run_on_host(FOLLOW, only_near, FAR) == "8921 True False True 1420"


def test_has_route_knows_which_endpoints_are_routable() -> None:
    probe = """
from ikto_core.values.addressing import Endpoint
from ikto_core.underlay.routes import has_route
for host in ("10.1.0.9", "192.0.2.1", "2001:db8:1::9", "2001:db8:9::9", "fe80::1%eth0", "fe80::1%eth7"):
    print(has_route(Endpoint(host, 51820)), end=" ")
"""
    assert run_on_host(probe, LAN, "") == "True True True True True False "
    only_near = f"{LAN}\nip route del default\nip -6 route del default"
    assert run_on_host(probe, only_near, "") == "True False True False True False "
