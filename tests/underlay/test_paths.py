"""The address found is reachable for peers: never one inside the mesh, nor one of a network for guests of this host."""

import os
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.errors import ConfigError
from ikto_core.underlay import routes as routes_module
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.underlay.paths import Link, Route, choose_addresses
from ikto_core.underlay.routes import host_name
from ikto_core.values.addressing import Prefix
from tests.underlay.lan import BRIDGE, HOST_BRIDGE, IPV4_LAN, LAN, run_on_host

BOTH = "10.1.0.2 2001:db8:1::2"
MESH = Prefix.parse("fd10::/16")
IFNAME = "wg0"

ETH0 = Link(
    "eth0", None, frozenset(map(ip_address, ("10.1.0.2", "2001:db8:1::2", "fe80::1", "169.254.1.1", "fd10::1")))
)
LO = Link("lo", None, frozenset(map(ip_address, ("127.0.0.1", "::1", "10.9.0.1"))))
OTHER = ip_address("10.2.0.1")


def route(source: str | None, name: str = "route to it") -> Route:
    return Route(name, None if source is None else ip_address(source))


def chosen(*sources: str | None, links: tuple[Link, ...] = (ETH0, LO)) -> tuple[str, ...]:
    return choose_addresses([route(source) for source in sources], links, MESH, IFNAME)


def refusal(*sources: str | None, links: tuple[Link, ...] = (ETH0, LO)) -> str:
    with pytest.raises(ConfigError) as caught:
        chosen(*sources, links=links)
    assert str(caught.value).startswith("advertise_address: ")
    assert "set advertise_address" in caught.value.hint
    return str(caught.value)


# -- the decision ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["10.1.0.2", "2001:db8:1::2", "10.9.0.1"])
def test_an_ordinary_address_is_used_even_on_the_loopback_interface(source: str) -> None:
    assert chosen(source) == (source,)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("127.0.0.1", "reachable from this host only"),
        ("::1", "reachable from this host only"),
        ("0.0.0.0", "reachable from this host only"),  # noqa: S104  # the source address on a host without addresses
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
def test_an_address_of_a_guest_or_mesh_link_is_refused_with_the_link_name(ifname: str, kind: str | None) -> None:
    assert f"10.2.0.1 is on {ifname}, " in refusal("10.2.0.1", links=(Link(ifname, kind, frozenset({OTHER})),))


@pytest.mark.parametrize(
    ("ifname", "kind"), [("eth0", "veth"), ("bond0", "bond"), ("eth0.7", "vlan"), ("lan", "dummy")]
)
def test_an_address_of_any_other_kind_of_link_is_used(ifname: str, kind: str) -> None:
    assert chosen("10.2.0.1", links=(Link(ifname, kind, frozenset({OTHER})),)) == ("10.2.0.1",)


@pytest.mark.parametrize(
    ("ifname", "kind"),
    [
        ("vmbr0", "bridge"),  # Proxmox
        ("br-ex", "openvswitch"),
        ("virbr0", "bridge"),
        ("veth0", "veth"),
        ("bond0", "bond"),
        ("team0", "team"),
        ("br0.7", "vlan"),
        ("eth0", None),
    ],
)
def test_an_address_of_a_link_that_carries_the_default_route_is_used_though_it_is_a_bridge(
    ifname: str, kind: str | None
) -> None:
    assert chosen("10.2.0.1", links=(Link(ifname, kind, frozenset({OTHER}), is_uplink=True),)) == ("10.2.0.1",)


@pytest.mark.parametrize(
    ("ifname", "kind", "what"),
    [
        (IFNAME, "wireguard", "the mesh device"),
        (IFNAME, "bridge", "the mesh device"),
        ("wg1", "wireguard", "a WireGuard device"),
        ("tun0", "tun", "a tun or tap device"),
        ("flannel.1", "vxlan", "a guest interface"),
        ("gre7", "geneve", "an overlay"),
    ],
)
def test_a_tunnel_is_no_uplink_though_it_carries_the_default_route(ifname: str, kind: str, what: str) -> None:
    links = (Link(ifname, kind, frozenset({OTHER}), is_uplink=True),)
    assert f"10.2.0.1 is on {ifname}, {what}" in refusal("10.2.0.1", links=links)


def test_an_address_on_both_a_bridge_and_an_ordinary_link_is_refused() -> None:
    assert "is on br0, a bridge" in refusal("10.1.0.2", links=(ETH0, Link("br0", "bridge", ETH0.addresses)))


def test_the_error_lists_each_reason_once_and_missing_routes() -> None:
    with pytest.raises(ConfigError) as caught:
        choose_addresses([*map(route, ("::1", "::1")), route(None, "default IPv4 route")], (LO,), MESH, IFNAME)
    reasons = "::1 is reachable from this host only; no default IPv4 route"
    assert str(caught.value) == f"advertise_address: found no address that peers can reach: {reasons}"


@given(
    st.lists(
        st.sampled_from(["10.1.0.2", "10.9.0.1", "2001:db8:1::2", "127.0.0.1", "fe80::1", "fd10::1", "10.3.0.1", None])
    )
)
def test_the_first_usable_address_of_each_family_is_chosen_at_any_position(sources: list[str | None]) -> None:
    good = [source for source in sources if source in ("10.1.0.2", "10.9.0.1", "2001:db8:1::2")]
    if good:
        families = {":" in source: source for source in reversed(good)}
        assert chosen(*sources) == tuple(families[family] for family in dict.fromkeys(":" in source for source in good))
    else:
        refusal(*sources)


# -- on a real host ----------------------------------------------------------------------------------------------------

PROBE = """
import asyncio, sys, structlog
from ikto_core.errors import ConfigError
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.addressing import Prefix
structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
monitor = UnderlayMonitor(None, Prefix.parse("fd10::/16"), "wg0")
try:
    asyncio.run(monitor.connected(sys.argv[1], keep_trying=False))
    print(*monitor.found.addresses)
except ConfigError as error:
    print(error)
"""

Ask = Callable[..., str]


@pytest.fixture
def ask() -> Ask:
    """Return a function that finds the address on a host of its own: (`ip` commands, URL) -> output."""
    return partial(run_on_host, PROBE)


@pytest.mark.parametrize(
    ("server", "source"),
    [
        ("nats://10.1.0.9:4222", "10.1.0.2"),
        ("nats://10.1.0.2", "10.1.0.2"),
        ("nats://10.5.0.2", "10.5.0.1"),  # the other end of a point-to-point link
        ("nats://[::ffff:10.5.0.2]", "10.5.0.1"),
    ],
)
def test_in_a_container_the_source_address_of_the_route_to_the_server_is_advertised(
    ask: Ask, server: str, source: str
) -> None:
    assert ask(IPV4_LAN, server) == source


def test_a_host_with_both_families_advertises_both_and_that_of_the_server_first(ask: Ask) -> None:
    assert ask(LAN, "nats://10.1.0.9:4222") == BOTH
    assert ask(LAN, "tls://[2001:db8:1::9]:4222") == "2001:db8:1::2 10.1.0.2"


def test_a_family_without_a_default_route_is_not_advertised_beside_that_of_the_server(ask: Ask) -> None:
    assert ask(f"{LAN}\nip -6 route del default", "nats://10.1.0.9:4222") == "10.1.0.2"


@pytest.mark.parametrize("server", ["nats://127.0.0.1:4222", "nats://[::1]:4222", "nats://localhost:4222"])
def test_with_the_server_on_this_host_the_source_address_of_the_default_route_is_advertised(
    ask: Ask, server: str
) -> None:
    assert ask(LAN, server) == BOTH


def test_a_host_with_ipv6_only_advertises_an_ipv6_address(ask: Ask) -> None:
    assert ask(f"{LAN}\nip -4 address flush dev eth0", "nats://127.0.0.1:4222") == "2001:db8:1::2"


@pytest.mark.parametrize("name", ["a." * 150, "nats..invalid"])  # invalid, so no resolver is asked
def test_with_an_unresolvable_server_name_the_default_route_is_used(ask: Ask, name: str) -> None:
    assert ask(LAN, f"nats://{name}:4222") == BOTH


def test_the_default_route_is_used_instead_of_a_bridge(ask: Ask) -> None:
    assert ask(LAN + BRIDGE, "nats://10.7.0.9:4222") == BOTH


def test_a_host_with_only_a_bridge_gets_an_error_that_names_it(ask: Ask) -> None:
    answer = ask(BRIDGE, "nats://10.7.0.9:4222")
    assert "10.7.0.1 is on lan1, a bridge; no default IPv4 route; no default IPv6 route" in answer


@pytest.mark.parametrize("server", ["nats://10.1.0.9:4222", "nats://127.0.0.1:4222", "nats://198.51.100.9"])
def test_a_host_whose_uplink_is_a_bridge_advertises_its_address(ask: Ask, server: str) -> None:
    assert ask(HOST_BRIDGE, server) == "10.1.0.2"


def test_the_bridge_of_guests_is_refused_beside_the_bridge_that_is_the_uplink(ask: Ask) -> None:
    """As on a host of micro-VMs, with a server in one of them."""
    assert ask(HOST_BRIDGE + BRIDGE, "nats://10.7.0.9:4222") == "10.1.0.2"


def test_a_bridge_that_is_the_uplink_for_marked_packets_only_is_one_for_a_device_with_that_mark() -> None:
    marked = "ip route del default\nip rule add fwmark 7 lookup 77\nip route add default via 10.1.0.1 table 77"
    assert run_on_host(PROBE, f"{HOST_BRIDGE}\n{marked}", "nats://10.1.0.9").startswith("advertise_address: ")
    probe = PROBE.replace('"wg0"', '"wg0", fwmark=7')
    assert run_on_host(probe, f"{HOST_BRIDGE}\n{marked}", "nats://10.1.0.9") == "10.1.0.2"


def test_a_tap_and_a_userspace_wireguard_are_refused(ask: Ask) -> None:
    tap = "ip tuntap add dev vm1 mode tap\nip address add 10.8.0.1/24 dev vm1\nip link set vm1 up"
    tun = "ip tuntap add dev wg1 mode tun\nip address add 10.6.0.1/24 dev wg1\nip link set wg1 up"
    assert "10.8.0.1 is on vm1, a tun or tap device" in ask(tap, "nats://10.8.0.9:4222")
    assert "10.6.0.1 is on wg1, a tun or tap device" in ask(tun, "nats://10.6.0.9:4222")


def test_the_mesh_device_is_refused_whatever_its_kind(ask: Ask) -> None:
    device = "ip link add wg0 type veth peer name far\nip address add 10.8.0.1/24 dev wg0\nip link set wg0 up"
    assert "10.8.0.1 is on wg0, the mesh device" in ask(device, "nats://10.8.0.9:4222")


def test_the_default_route_is_used_instead_of_an_address_inside_the_mesh(ask: Ask) -> None:
    assert ask(f"{LAN}\nip address add fd10::1/16 dev eth0 nodad", "nats://[fd10::2]:4222") == BOTH


def test_a_stable_address_is_preferred_to_a_temporary_one(ask: Ask) -> None:
    temporary = (
        "echo 2 > /proc/sys/net/ipv6/conf/eth0/use_tempaddr\necho 0 > /proc/sys/net/ipv6/conf/eth0/accept_dad\n"
        "ip address replace 2001:db8:1::2/64 dev eth0 mngtmpaddr nodad"
    )
    last = "ip -6 address show dev eth0 temporary | grep -c inet6"
    assert ask(LAN + temporary, "nats://[2001:db8:1::9]:4222", last) == "2001:db8:1::2 10.1.0.2\n1"


def test_finding_the_address_sends_no_packet(ask: Ask) -> None:
    counters = "awk '/^Udp: [0-9]/ {print $5} /^Udp6OutDatagrams/ {print $2}' /proc/net/snmp /proc/net/snmp6"
    assert ask(LAN, "nats://127.0.0.1:4222", counters) == f"{BOTH}\n0\n0"


async def test_this_host_never_advertises_a_loopback_address() -> None:
    monitor = UnderlayMonitor(None, MESH, IFNAME)
    try:
        await monitor.connected("nats://127.0.0.1:4222", keep_trying=False)
    except ConfigError as error:
        assert "127.0.0.1 is reachable from this host only" in str(error)  # noqa: PT017  # correct on a host without a network
    assert not any(ip_address(address).is_loopback for address in monitor.found.addresses)


def test_a_host_has_a_name() -> None:
    assert host_name() == os.uname().nodename


def test_a_host_name_that_is_not_utf8_is_replaced_where_it_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes_module, "gethostname", lambda: os.fsdecode(b"n\xffde"))
    assert host_name() == "n\ufffdde"
