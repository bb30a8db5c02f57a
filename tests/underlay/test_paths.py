"""The address found is one that peers reach: never the mesh's own, nor that of a guest's network on this host."""

import os
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.errors import ConfigError
from ikto_core.underlay.paths import Candidate, Link, advertise_address, choose, host_name
from ikto_core.values.addressing import Prefix
from tests.underlay.lan import BRIDGE, LAN, asked

MESH = Prefix.parse("fd10::/16")
IFNAME = "wg0"

ETH0 = Link(
    "eth0", None, frozenset(map(ip_address, ("10.1.0.2", "2001:db8:1::2", "fe80::1", "169.254.1.1", "fd10::1")))
)
LO = Link("lo", None, frozenset(map(ip_address, ("127.0.0.1", "::1", "10.9.0.1"))))
OTHER = ip_address("10.2.0.1")


def candidate(source: str | None, route: str = "route to it") -> Candidate:
    return Candidate(route, None if source is None else ip_address(source))


def chosen(*sources: str | None, links: tuple[Link, ...] = (ETH0, LO)) -> str:
    return choose([candidate(source) for source in sources], links, MESH, IFNAME)


def refusal(*sources: str | None, links: tuple[Link, ...] = (ETH0, LO)) -> str:
    with pytest.raises(ConfigError) as caught:
        chosen(*sources, links=links)
    assert str(caught.value).startswith("advertise_address: ")
    assert "set advertise_address" in caught.value.hint
    return str(caught.value)


# -- what decides ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["10.1.0.2", "2001:db8:1::2", "10.9.0.1"])
def test_an_ordinary_address_is_taken_even_from_the_loopback_interface(source: str) -> None:
    assert chosen(source) == source


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("127.0.0.1", "this host alone"),
        ("::1", "this host alone"),
        ("0.0.0.0", "this host alone"),  # noqa: S104  # what a host without addresses answers
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fd10::1", "inside the mesh fd10::/16"),
        ("10.3.0.1", "on no interface"),
    ],
)
def test_an_address_that_peers_cannot_reach_is_refused_with_its_reason(source: str, reason: str) -> None:
    assert f"{source} is {reason}" in refusal(source)


@pytest.mark.parametrize(
    ("ifname", "kind"),
    [
        ("br0", "bridge"),
        ("ovs0", "openvswitch"),
        ("tap0", "tun"),
        ("wg1", "wireguard"),
        ("flannel.1", "vxlan"),
        ("docker0", None),
        ("vethab12", "veth"),
        ("cali12", "veth"),
        ("cilium_host", "veth"),
        ("lxc12", "veth"),
        ("cni0", None),
        ("virbr0", None),
        ("podman0", None),
        ("kube-ipvs0", "dummy"),
        (IFNAME, None),
    ],
)
def test_an_address_of_a_guests_or_mesh_link_is_refused_with_the_links_name(ifname: str, kind: str | None) -> None:
    assert f"10.2.0.1 is on {ifname}, " in refusal("10.2.0.1", links=(Link(ifname, kind, frozenset({OTHER})),))


@pytest.mark.parametrize(
    ("ifname", "kind"), [("eth0", "veth"), ("bond0", "bond"), ("eth0.7", "vlan"), ("lan", "dummy")]
)
def test_an_address_of_any_other_kind_of_link_is_taken(ifname: str, kind: str) -> None:
    assert chosen("10.2.0.1", links=(Link(ifname, kind, frozenset({OTHER})),)) == "10.2.0.1"


def test_an_address_that_a_bridge_shares_with_an_ordinary_link_is_refused() -> None:
    assert "is on br0, a bridge" in refusal("10.1.0.2", links=(ETH0, Link("br0", "bridge", ETH0.addresses)))


def test_every_refusal_is_told_once_and_missing_routes_too() -> None:
    with pytest.raises(ConfigError) as caught:
        choose([*map(candidate, ("::1", "::1")), candidate(None, "default IPv4 route")], (LO,), MESH, IFNAME)
    told = "::1 is this host alone; no default IPv4 route"
    assert str(caught.value) == f"advertise_address: found none that peers could reach: {told}"


@given(st.lists(st.sampled_from(["10.1.0.2", "2001:db8:1::2", "127.0.0.1", "fe80::1", "fd10::1", "10.3.0.1", None])))
def test_the_first_address_that_will_do_is_chosen_wherever_it_stands(sources: list[str | None]) -> None:
    good = [source for source in sources if source in ("10.1.0.2", "2001:db8:1::2")]
    if good:
        assert chosen(*sources) == good[0]
    else:
        refusal(*sources)


# -- on a real host ----------------------------------------------------------------------------------------------------

PROBE = """
import asyncio, sys
from ikto_core.values.addressing import Prefix
from ikto_core.underlay.paths import advertise_address
from ikto_core.errors import ConfigError
try:
    print(asyncio.run(advertise_address(sys.argv[1], Prefix.parse("fd10::/16"), "wg0")))
except ConfigError as error:
    print(error)
"""

Ask = Callable[..., str]


@pytest.fixture
def ask() -> Ask:
    """Ask for the address on a host that lives as long as the question: (`ip` commands, URL) -> words."""
    return partial(asked, PROBE)


@pytest.mark.parametrize(
    ("server", "source"),
    [
        ("nats://10.1.0.9:4222", "10.1.0.2"),
        ("tls://[2001:db8:1::9]:4222", "2001:db8:1::2"),
        ("nats://10.1.0.2", "10.1.0.2"),
        ("nats://10.5.0.2", "10.5.0.1"),  # the other end of a point-to-point link
        ("nats://[::ffff:10.5.0.2]", "10.5.0.1"),
    ],
)
def test_the_source_of_the_route_to_the_server_is_advertised_from_a_containers_eth0(
    ask: Ask, server: str, source: str
) -> None:
    assert ask(LAN, server) == source


@pytest.mark.parametrize("server", ["nats://127.0.0.1:4222", "nats://[::1]:4222", "nats://localhost:4222"])
def test_with_the_server_on_this_host_the_default_routes_source_is_advertised(ask: Ask, server: str) -> None:
    assert ask(LAN, server) == "10.1.0.2"


def test_a_host_with_ipv6_alone_advertises_that(ask: Ask) -> None:
    assert ask(f"{LAN}\nip -4 address flush dev eth0", "nats://127.0.0.1:4222") == "2001:db8:1::2"


@pytest.mark.parametrize("name", ["a." * 150, "nats..invalid"])  # refused before anybody is asked
def test_a_name_that_does_not_resolve_leaves_the_default_routes_source(ask: Ask, name: str) -> None:
    assert ask(LAN, f"nats://{name}:4222") == "10.1.0.2"


def test_a_bridges_address_gives_way_to_the_default_routes(ask: Ask) -> None:
    assert ask(LAN + BRIDGE, "nats://10.7.0.9:4222") == "10.1.0.2"


def test_a_host_with_nothing_but_a_bridge_says_so(ask: Ask) -> None:
    answer = ask(BRIDGE, "nats://10.7.0.9:4222")
    assert "10.7.0.1 is on lan1, a bridge; no default IPv4 route; no default IPv6 route" in answer


def test_a_tap_and_a_userspace_wireguard_are_refused(ask: Ask) -> None:
    tap = "ip tuntap add dev vm1 mode tap\nip address add 10.8.0.1/24 dev vm1\nip link set vm1 up"
    tun = "ip tuntap add dev wg1 mode tun\nip address add 10.6.0.1/24 dev wg1\nip link set wg1 up"
    assert "10.8.0.1 is on vm1, a tun or tap device" in ask(tap, "nats://10.8.0.9:4222")
    assert "10.6.0.1 is on wg1, a tun or tap device" in ask(tun, "nats://10.6.0.9:4222")


def test_the_mesh_device_is_refused_whatever_its_kind(ask: Ask) -> None:
    device = "ip link add wg0 type veth peer name far\nip address add 10.8.0.1/24 dev wg0\nip link set wg0 up"
    assert "10.8.0.1 is on wg0, the mesh device" in ask(device, "nats://10.8.0.9:4222")


def test_an_address_inside_the_mesh_gives_way_though_the_server_is_reached_from_it(ask: Ask) -> None:
    assert ask(f"{LAN}\nip address add fd10::1/16 dev eth0 nodad", "nats://[fd10::2]:4222") == "10.1.0.2"


def test_a_stable_address_is_preferred_to_a_temporary_one(ask: Ask) -> None:
    temporary = (
        "echo 2 > /proc/sys/net/ipv6/conf/eth0/use_tempaddr\necho 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad\n"
        "ip address replace 2001:db8:1::2/64 dev eth0 mngtmpaddr nodad"
    )
    last = "ip -6 address show dev eth0 temporary | grep -c inet6"
    assert ask(LAN + temporary, "nats://[2001:db8:1::9]:4222", last) == "2001:db8:1::2\n1"


def test_finding_it_sends_no_packet(ask: Ask) -> None:
    counters = "awk '/^Udp: [0-9]/ {print $5} /^Udp6OutDatagrams/ {print $2}' /proc/net/snmp /proc/net/snmp6"
    assert ask(LAN, "nats://127.0.0.1:4222", counters) == "10.1.0.2\n0\n0"


async def test_whatever_this_host_is_no_loopback_address_is_advertised() -> None:
    try:
        found = ip_address(await advertise_address("nats://127.0.0.1:4222", MESH, IFNAME))
    except ConfigError as error:
        assert "127.0.0.1 is this host alone" in str(error)  # noqa: PT017  # a host without a network is right to say so
    else:
        assert not found.is_loopback


def test_a_host_has_a_name() -> None:
    assert host_name() == os.uname().nodename
