"""What the routes of this host say: the addresses to advertise and the MTU that peers' packets allow. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

import msgspec

from ikto_core.errors import ConfigError
from ikto_core.values.addressing import Prefix

Address = IPv4Address | IPv6Address

_LOCAL_KINDS = {
    "bridge": "a bridge",
    "openvswitch": "a bridge",
    "tun": "a tun or tap device",  # userspace WireGuard too
    "wireguard": "a WireGuard device",
    "vxlan": "an overlay",
    "geneve": "an overlay",
    "ipip": "an overlay",
}
"""Kinds of link (IFLA_INFO_KIND) whose addresses are reachable only for guests of this host or within an overlay.

A bridge that carries the default route is an uplink: the host's network card is one of its ports, as on Proxmox.
"""

_GUEST_PREFIXES = ("veth", "cali", "cilium", "lxc", "flannel", "docker", "cni", "virbr", "podman", "kube-")
"""Name prefixes of the host's end of a guest link. Inside a container the link is a veth too, but named eth0."""

OVERHEAD = 80
"""Bytes that WireGuard adds to a packet: 40 for IPv6 (20 for IPv4), 8 for UDP, 32 of its own. wg-quick uses 80 too."""

MIN_MTU = 1280
"""The minimum link MTU of IPv6: RFC 8200, section 5."""

LOOPBACK_MTU = 65536
"""The MTU of the loopback interface, larger than any other link's: drivers/net/loopback.c."""


class Route(msgspec.Struct, frozen=True):
    """A route, with the source address that this host uses on it."""

    name: str  # for messages: "default IPv4 route"
    source: Address | None  # None: there is no such route
    mtu: int = 0  # bytes; from the route, or as discovered by path MTU discovery


class Link(msgspec.Struct, frozen=True):
    """A network interface of this host."""

    ifname: str
    kind: str | None  # IFLA_INFO_KIND; None: hardware or the loopback
    addresses: frozenset[Address]
    mtu: int = 0  # bytes
    is_uplink: bool = False  # it carries a default route


class Underlay(msgspec.Struct, frozen=True):
    """What this host's routes say at one moment."""

    addresses: tuple[str, ...] = ()  # to advertise, best first, at most one per family; empty: none was ever found
    mtu: int | None = None  # bytes that the device's MTU may have; None: no path to peers was ever found
    sources: frozenset[str] = frozenset()  # the source addresses in use; empty: this host has no network at present


def choose_addresses(routes: Iterable[Route], links: Collection[Link], mesh: Prefix, ifname: str) -> tuple[str, ...]:
    """Return the source addresses among the routes that peers can reach: the first of each family, in that order.

    Loopback and link-local addresses and those inside the mesh are refused, and so are the addresses of the mesh device
    and of links for guests or overlays; those of a bridge that carries a default route are not. `links` must hold the
    links that have one of the source addresses. Raises ConfigError, with a reason for each address, if none is usable.
    """
    found: dict[int, str] = {}  # by IP version
    problems = []
    for route in routes:
        if problem := next(_problems(route, links, mesh, ifname), None):
            problems.append(problem)
        elif route.source:
            found.setdefault(route.source.version, str(route.source))
    if found:
        return tuple(found.values())
    raise ConfigError(
        f"advertise_address: found no address that peers can reach: {'; '.join(dict.fromkeys(problems))}",
        hint="set advertise_address to an address of this host",
    )


def choose_mtu(
    routes: Iterable[Route], links: Collection[Link], mesh: Prefix, ifname: str, advertised: Collection[str] = ()
) -> int | None:
    """Return the smallest MTU of the paths to peers, minus OVERHEAD, at least MIN_MTU; None: there is no path.

    The paths are the routes that leave this host outside the mesh, the links that have an `advertised` address, one
    that peers see, and those that carry a default route, whatever their address. An address on a bridge is accepted
    here. The route to a server on this host has the MTU of the loopback interface; the smaller MTU of the link is used
    then.
    """
    outer = [link for link in links if link.ifname != ifname]
    addresses = frozenset(map(ip_address, advertised))
    mtus = [link.mtu for link in outer if link.is_uplink or addresses & link.addresses]
    for route in routes:
        own_links = [link for link in outer if route.source in link.addresses]
        leaves = any(link.is_uplink for link in own_links) or (
            route.source and not any(_address_problems(route.source, mesh))
        )
        if own_links and leaves:
            mtus.append(min(route.mtu, *(link.mtu for link in own_links)))
    smallest = min(mtus, default=LOOPBACK_MTU)
    return max(smallest - OVERHEAD, MIN_MTU) if smallest < LOOPBACK_MTU else None


def outer_sources(routes: Iterable[Route], mesh: Prefix) -> Mapping[str, str]:
    """Return the source addresses of the routes that leave this host outside the mesh, by the routes' names."""
    return {
        route.name: str(route.source)
        for route in routes
        if route.source and not any(_address_problems(route.source, mesh))
    }


def _problems(route: Route, links: Iterable[Link], mesh: Prefix, ifname: str) -> Iterator[str]:
    source = route.source
    if source is None:
        yield f"no {route.name}"
        return
    yield from _address_problems(source, mesh)
    own_links = [link for link in links if source in link.addresses]
    if not own_links:
        yield f"{source} is on no interface"
    for link in own_links:
        if kind := _unreachable_link(link, ifname):
            yield f"{source} is on {link.ifname}, {kind}"


def _address_problems(source: Address, mesh: Prefix) -> Iterator[str]:
    """Yield the reasons why an address is not usable on the underlay, whatever its link."""
    if source.is_loopback or source.is_unspecified:
        yield f"{source} is reachable from this host only"
    if source.is_link_local:
        yield f"{source} is link-local"
    if mesh.covers(Prefix.of(source.packed, source.max_prefixlen)):
        yield f"{source} is inside the mesh {mesh}"


def _unreachable_link(link: Link, ifname: str) -> str | None:
    """Return what the link is if peers can't reach its addresses, otherwise None."""
    if link.ifname == ifname:
        return "the mesh device"
    kind = _LOCAL_KINDS.get(link.kind or "")
    if link.is_uplink and kind in (None, "a bridge"):
        return None
    return "a guest interface" if link.ifname.startswith(_GUEST_PREFIXES) else kind
