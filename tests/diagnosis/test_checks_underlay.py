"""Checks of the underlay fail without an address, an MTU that fits, or the only route into the mesh."""

from pathlib import Path

import pytest

from ikto_core.diagnosis.checks_underlay import MOST_NAMED, configured_address_finding, mtu_finding, route_findings
from ikto_core.diagnosis.host_facts import HostRoute, routes
from ikto_core.lab.network import run
from ikto_core.lab.own_network import own_network, why_no_network
from ikto_core.plugins.check_contract import Level
from ikto_core.values.addressing import Prefix
from tests.diagnosis.checking import findings_of, levels, node_to_check, only_finding

needs_network = pytest.mark.skipif(bool(why_no_network()), reason=why_no_network())
MESH = Prefix.parse("fd10::/16")
OWN = Prefix.parse("fd10:1::/48")


def uplink(mtu: int = 1500) -> None:
    """Give the namespace an uplink with a default route."""
    run("ip", "link", "add", "up0", "mtu", str(mtu), "type", "veth", "peer", "name", "up1")
    for name in ("up0", "up1"):
        run("ip", "link", "set", name, "up")
    run("ip", "address", "add", "198.51.100.2/24", "dev", "up0")
    run("ip", "route", "add", "default", "via", "198.51.100.1")


@needs_network
async def test_a_host_without_a_network_has_no_address(tmp_path: Path) -> None:
    with own_network():
        found = await only_finding(node_to_check(tmp_path), "address")
        assert found.level is Level.ERROR
        assert "found no address that peers can reach" in found.text
        uplink()
        found = await only_finding(node_to_check(tmp_path), "address")
    assert found.text == "peers are told to reach this node at 198.51.100.2"


@pytest.mark.parametrize(
    ("address", "here", "level"),
    [
        ("192.0.2.1", True, Level.OK),
        ("192.0.2.1", False, Level.WARNING),
        ("127.0.0.2", False, Level.ERROR),
    ],
)
def test_a_configured_address_may_be_that_of_a_nat(address: str, here: bool, level: Level) -> None:
    assert configured_address_finding(address, is_here=here).level is level


@needs_network
async def test_an_mtu_above_that_of_the_path_is_a_warning(tmp_path: Path) -> None:
    with own_network():
        uplink(mtu=1400)
        found = await only_finding(node_to_check(tmp_path, mtu=1420), "mtu")
        fine = await only_finding(node_to_check(tmp_path), "mtu")
    assert found.level is Level.WARNING
    assert found.text.startswith("the device's MTU of 1420 is above 1320")
    assert fine.level is Level.OK


@pytest.mark.parametrize(
    ("path", "device", "level"),
    [
        (None, 1420, Level.SKIPPED),
        (1420, 1420, Level.OK),
        (1420, None, Level.OK),
        (1380, 1381, Level.WARNING),
        (1280, None, Level.WARNING),
    ],
)
def test_the_mtu_is_compared_with_the_path(path: int | None, device: int | None, level: Level) -> None:
    assert mtu_finding(path, device).level is level


@needs_network
async def test_a_route_into_the_mesh_by_another_device_is_an_error(tmp_path: Path) -> None:
    with own_network():
        uplink()
        assert levels(await findings_of(node_to_check(tmp_path), "routes")) == ["ok"]
        run("ip", "route", "add", "fd10:2::/48", "dev", "up0")
        found = await only_finding(node_to_check(tmp_path), "routes")
        run("ip", "route", "add", "10.1.2.0/24", "dev", "up0")
        ipv4 = node_to_check(
            tmp_path, mesh_cidr="10.0.0.0/8", subnet_prefix=24, private_address="10.9.9.1", state_dir=str(tmp_path)
        )
        found4 = await only_finding(ipv4, "routes")
    assert found.level is Level.ERROR
    assert found.text == "packets to fd10:2::/48, inside the mesh fd10::/16, leave by up0"
    assert found4.text == "packets to 10.1.2.0/24, inside the mesh 10.0.0.0/8, leave by up0"


@pytest.mark.parametrize(
    ("prefix", "ifname", "conflicts"),
    [
        ("fd10:2::/48", "docker0", True),
        ("fd10::/16", "wg9", True),
        ("fd10::/16", "wg0", False),
        ("fd10:1:0:7::/64", "br0", False),  # guests in this node's own subnet
        ("fd00::/8", "eth0", False),  # less specific
        ("::/0", "eth0", False),
        ("10.0.0.0/8", "eth0", False),
        ("fd10:1::1/128", "lo", False),  # this host's own address
    ],
)
def test_which_routes_take_packets_elsewhere(prefix: str, ifname: str, conflicts: bool) -> None:
    found = route_findings([HostRoute(Prefix.parse(prefix), ifname)], MESH, "wg0", OWN)
    assert levels(found) == ["error"] * conflicts


def test_many_routes_are_counted() -> None:
    many = [HostRoute(Prefix.parse(f"fd10:{number:x}::/48"), "br0") for number in range(2, 20)]
    found = route_findings(many, MESH, "wg0", OWN)
    assert len(found) == MOST_NAMED + 1
    assert found[-1].text == f"…and {18 - MOST_NAMED} more routes"


def test_rejecting_routes_take_nothing(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    words = "fd100002000000000000000000000000 30 " + "0" * 32 + " 00 " + "0" * 32 + " 00000400 00000001 00000000 "
    (tmp_path / "proc/net/ipv6_route").write_text(f"{words}00000001 a\n{words}00200200 b\n")
    assert routes(tmp_path) == [HostRoute(Prefix.parse("fd10:2::/48"), "a")]


async def test_a_server_inside_the_mesh_is_a_warning(tmp_path: Path) -> None:
    node = node_to_check(tmp_path, nats_url="nats://192.0.2.1:4222,nats://[fd10:7::1]:4222")
    found = await only_finding(node, "nats-outside")
    assert found.level is Level.WARNING
    assert "nats://[fd10:7::1]:4222 is inside mesh_cidr fd10::/16" in found.text
