"""Underlay paths: the source address and MTU of the routes from this host to its peers. Sends no packets."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import (
    AF_INET,
    AF_INET6,
    AI_NUMERICHOST,
    IPPROTO_IP,
    IPPROTO_IPV6,
    SOCK_DGRAM,
    getaddrinfo,
    gethostname,
    socket,
)
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ikto_core.errors import ConfigError
from ikto_core.values.addressing import Endpoint, Prefix

Address = IPv4Address | IPv6Address

DEFAULT_ROUTES = (
    ("default IPv4 route", AF_INET, "192.0.2.1"),
    ("default IPv6 route", AF_INET6, "2001:db8::1"),
)
"""Documentation addresses (RFC 5737, RFC 3849) are reached over the default route. IPv4 first: more peers have it."""

_LOCAL_KINDS = {
    "bridge": "a bridge",
    "openvswitch": "a bridge",
    "tun": "a tun or tap device",  # userspace WireGuard too
    "wireguard": "a WireGuard device",
    "vxlan": "an overlay",
    "geneve": "an overlay",
    "ipip": "an overlay",
}
"""Kinds of link (IFLA_INFO_KIND) whose addresses are reachable only for guests of this host or within an overlay."""

_GUEST_PREFIXES = ("veth", "cali", "cilium", "lxc", "flannel", "docker", "cni", "virbr", "podman", "kube-")
"""Name prefixes of the host's end of a guest link. Inside a container the link is a veth too, but named eth0."""

OVERHEAD = 80
"""Bytes that WireGuard adds to a packet: 40 for IPv6 (20 for IPv4), 8 for UDP, 32 of its own. wg-quick uses 80 too."""

MIN_MTU = 1280
"""The minimum link MTU of IPv6: RFC 8200, section 5."""

LOOPBACK_MTU = 65536
"""The MTU of the loopback interface, larger than any other link's: drivers/net/loopback.c."""

_IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC = 72, 2  # linux/in6.h; RFC 5014
_MTU_OPTIONS: Mapping[int, tuple[int, int]] = {
    AF_INET: (IPPROTO_IP, 14),  # IP_MTU: linux/in.h
    AF_INET6: (IPPROTO_IPV6, 24),  # IPV6_MTU: linux/in6.h
}


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


async def advertise_address(server: str, mesh: Prefix, ifname: str) -> str:
    """Return the address at which peers most likely reach this host, as an IP literal in RFC 5952 form.

    It is the source address of the route to the NATS server. If that is not reachable from other hosts, as when the
    server runs on this host, it is the source address of the default route.

    Args:
        server: The NATS server's URL, such as `nats://host:4222` or `tls://[fd00::1]:4222`.
        mesh: The mesh's network; nothing inside it is returned.
        ifname: The mesh device; none of its addresses is returned.

    Raises:
        ConfigError: No route has a usable address, or the interfaces can't be read.

    """
    return choose_address(*await _routes_and_links(server), mesh, ifname)


async def fitting_mtu(server: str, mesh: Prefix, ifname: str) -> int | None:
    """Return the device MTU that the path to the peers allows, in bytes: see `choose_mtu`.

    Arguments as in `advertise_address`. None: there is no such path, or the interfaces can't be read.
    """
    try:
        return choose_mtu(*await _routes_and_links(server), mesh, ifname)
    except ConfigError:
        return None


def choose_address(routes: Iterable[Route], links: Collection[Link], mesh: Prefix, ifname: str) -> str:
    """Return the first source address among the routes that peers can reach.

    Loopback and link-local addresses and those inside the mesh are refused, and so are the addresses of the mesh device
    and of links for guests or overlays. `links` must hold the links that have one of the source addresses. Raises
    ConfigError, with a reason for each address, if none is usable.
    """
    problems = []
    for route in routes:
        problem = next(_problems(route, links, mesh, ifname), None)
        if problem is None:
            return str(route.source)
        problems.append(problem)
    raise ConfigError(
        f"advertise_address: found no address that peers can reach: {'; '.join(dict.fromkeys(problems))}",
        hint="set advertise_address to an address of this host",
    )


def choose_mtu(routes: Iterable[Route], links: Collection[Link], mesh: Prefix, ifname: str) -> int | None:
    """Return the MTU of the first route that leaves this host outside the mesh, minus OVERHEAD, at least MIN_MTU.

    An address on a bridge is accepted here. The route to a server on this host has the MTU of the loopback interface;
    the smaller MTU of the link is used then. None: no route leaves this host.
    """
    for route in routes:
        link_mtus = [link.mtu for link in links if route.source in link.addresses and link.ifname != ifname]
        if route.source and link_mtus and not any(_address_problems(route.source, mesh)):
            mtu = min(route.mtu, *link_mtus)
            if mtu < LOOPBACK_MTU:
                return max(mtu - OVERHEAD, MIN_MTU)
    return None


def has_route(endpoint: Endpoint) -> bool:
    """Return whether this host has a route to an endpoint. Connecting a UDP socket sends nothing; takes about 10 µs."""
    try:
        ((family, _, _, _, target),) = getaddrinfo(*endpoint, type=SOCK_DGRAM, flags=AI_NUMERICHOST)
        with socket(family, SOCK_DGRAM) as probe:
            probe.connect(target)
    except OSError:
        return False
    return True


def host_name() -> str:
    """Return the host name."""
    return gethostname()


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
    if link.ifname.startswith(_GUEST_PREFIXES):
        return "a guest interface"
    return _LOCAL_KINDS.get(link.kind or "")


async def _routes_and_links(server: str) -> tuple[list[Route], list[Link]]:
    """Return the routes to a server and the default routes, and the links with their source addresses."""
    routes = [*await _routes_to(server), *_default_routes()]
    return routes, await _links({route.source for route in routes})


async def _routes_to(server: str) -> list[Route]:
    """Return the route to each address of a server."""
    url = urlsplit(server)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.hostname or "", url.port or 4222, type=SOCK_DGRAM)
    except (OSError, UnicodeError):  # may be temporary, and the default route is mostly the same
        return [Route(f"address for the name {url.hostname}", None)]
    return [_route(f"route to {target[0]}", family, target) for family, _, _, _, target in found]


def _default_routes() -> list[Route]:
    return [_route(name, family, (address, 9)) for name, family, address in DEFAULT_ROUTES]


def _route(name: str, family: int, target: tuple[Any, ...]) -> Route:
    """Return this host's route to `target`. Connecting a UDP socket sends nothing."""
    try:
        with socket(family, SOCK_DGRAM) as probe:
            if family == AF_INET6:  # a temporary address (RFC 8981) expires within days
                probe.setsockopt(IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC)
            probe.connect(target)
            source = ip_address(probe.getsockname()[0])
            mtu = probe.getsockopt(*_MTU_OPTIONS[family])
    except OSError:
        return Route(name, None)
    return Route(name, getattr(source, "ipv4_mapped", None) or source, mtu)


async def _links(addresses: Collection[Address | None]) -> list[Link]:
    """Return the links that have one of `addresses`. Only those: a host may have thousands, and each takes 0.4 ms."""
    from pyroute2 import AsyncIPRoute, NetlinkError  # noqa: PLC0415  # slow to import

    try:
        async with AsyncIPRoute() as netlink:  # on a point-to-point link `address` is the remote end
            assigned = [
                (message["index"], ip_address(message.get("local") or message.get("address")))
                async for message in await netlink.get_addr()
            ]
            wanted = {index for index, address in assigned if address in addresses}
            found = [message for index in wanted async for message in await netlink.get_links(index)]
    except (OSError, NetlinkError) as error:
        raise ConfigError(
            f"advertise_address: this host's interfaces can't be read: {error}", hint="set advertise_address"
        ) from error
    return [
        Link(
            ifname=message.get("ifname"),
            kind=message.get(("linkinfo", "kind")),
            addresses=frozenset(address for index, address in assigned if index == message["index"]),
            mtu=message.get("mtu"),
        )
        for message in found
    ]
