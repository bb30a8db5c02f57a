"""Finds the way from this host to its peers, without sending a packet: its address there, and how much fits."""

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
"""Documentation addresses (RFC 5737, RFC 3849) lie behind the default route. IPv4 first: more peers have it."""

_FOREIGN_KINDS = {
    "bridge": "a bridge",
    "openvswitch": "a bridge",
    "tun": "a tun or tap device",  # userspace WireGuard too
    "wireguard": "a WireGuard device",
    "vxlan": "an overlay",
    "geneve": "an overlay",
    "ipip": "an overlay",
}
"""Kinds of link (IFLA_INFO_KIND) whose addresses only guests of this host or members of some overlay reach."""

_FOREIGN_NAMES = ("veth", "cali", "cilium", "lxc", "flannel", "docker", "cni", "virbr", "podman", "kube-")
"""What the host's end of a guest is called. A container's own end is a veth too, but is named eth0 or the like."""

OVERHEAD = 80
"""Bytes that WireGuard adds to a packet: 40 for IPv6, 8 for UDP, 32 of its own (IPv4 is 20 less). As wg-quick."""

MIN_MTU = 1280
"""An IPv6 link has no less: RFC 8200, section 5."""

LOOPBACK_MTU = 65536
"""More than any other link has: drivers/net/loopback.c."""

_IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC = 72, 2  # linux/in6.h; RFC 5014
_MTU_OPTIONS: Mapping[int, tuple[int, int]] = {
    AF_INET: (IPPROTO_IP, 14),  # IP_MTU: linux/in.h
    AF_INET6: (IPPROTO_IPV6, 24),  # IPV6_MTU: linux/in6.h
}


class Candidate(msgspec.Struct, frozen=True):
    """A route, and the address that this host uses on it."""

    route: str  # for humans: "default IPv4 route"
    source: Address | None  # None: there is no such route
    mtu: int = 0  # bytes; as the route has it, or as a router on it said


class Link(msgspec.Struct, frozen=True):
    """A network interface of this host."""

    ifname: str
    kind: str | None  # as the kernel names it; None: none, as for hardware and the loopback
    addresses: frozenset[Address]
    mtu: int = 0  # bytes


async def advertise_address(server: str, mesh: Prefix, ifname: str) -> str:
    """Return the IP literal, in RFC 5952 form, at which peers most likely reach this host.

    It is the source of the route to the NATS server; of the default route if that won't do, as when the server runs
    on this host.

    Args:
        server: The NATS server's URL, such as `nats://host:4222` or `tls://[fd00::1]:4222`.
        mesh: The mesh's network; nothing inside it is returned.
        ifname: The mesh device; none of its addresses is returned.

    Raises:
        ConfigError: No address will do, or the system does not show its interfaces.

    """
    return choose(*await _ways(server), mesh, ifname)


async def fitting_mtu(server: str, mesh: Prefix, ifname: str) -> int | None:
    """Return the MTU at which the mesh device's packets fit the way to peers: see `choose_mtu`.

    Arguments as of `advertise_address`. None: no such way, or the system does not show its interfaces.
    """
    try:
        return choose_mtu(*await _ways(server), mesh, ifname)
    except ConfigError:
        return None


def choose(candidates: Iterable[Candidate], links: Collection[Link], mesh: Prefix, ifname: str) -> str:
    """Return the first candidate's address that peers can reach; ConfigError says why each won't do.

    Refused are addresses that are loopback, link-local or inside the mesh, and those of the mesh device or of a link
    that belongs to guests or to an overlay. `links` holds at least the links that carry a candidate.
    """
    faults = []
    for candidate in candidates:
        fault = next(_faults(candidate, links, mesh, ifname), None)
        if fault is None:
            return str(candidate.source)
        faults.append(fault)
    raise ConfigError(
        f"advertise_address: found none that peers could reach: {'; '.join(dict.fromkeys(faults))}",
        hint="set advertise_address to an address of this host",
    )


def choose_mtu(candidates: Iterable[Candidate], links: Collection[Link], mesh: Prefix, ifname: str) -> int | None:
    """Return what the first candidate that leaves this host outside the mesh lets through, less OVERHEAD.

    A host's own address may be on a bridge: that is no fault here. Towards a server on this host the route's MTU is
    the loopback's, and the link's counts. None: no candidate leaves this host. At least MIN_MTU.
    """
    for candidate in candidates:
        carriers = [link.mtu for link in links if candidate.source in link.addresses and link.ifname != ifname]
        if candidate.source and carriers and not any(_unfit(candidate.source, mesh)):
            mtu = min(candidate.mtu, *carriers)
            if mtu < LOOPBACK_MTU:
                return max(mtu - OVERHEAD, MIN_MTU)
    return None


def has_route(endpoint: Endpoint) -> bool:
    """Whether this host has any way to send to an endpoint. Connecting UDP sends nothing; some 10 µs."""
    try:
        ((family, _, _, _, target),) = getaddrinfo(*endpoint, type=SOCK_DGRAM, flags=AI_NUMERICHOST)  # with its scope
        with socket(family, SOCK_DGRAM) as probe:
            probe.connect(target)
    except OSError:
        return False
    return True


def host_name() -> str:
    """Return what this host calls itself."""
    return gethostname()


def _faults(candidate: Candidate, links: Iterable[Link], mesh: Prefix, ifname: str) -> Iterator[str]:
    source = candidate.source
    if source is None:
        yield f"no {candidate.route}"
        return
    yield from _unfit(source, mesh)
    carriers = [link for link in links if source in link.addresses]
    if not carriers:
        yield f"{source} is on no interface"
    for link in carriers:
        if nature := _foreign(link, ifname):
            yield f"{source} is on {link.ifname}, {nature}"


def _unfit(source: Address, mesh: Prefix) -> Iterator[str]:
    """Yield what keeps an address from being one of the way to peers, wherever it is."""
    if source.is_loopback or source.is_unspecified:
        yield f"{source} is this host alone"
    if source.is_link_local:
        yield f"{source} is link-local"
    if mesh.covers(Prefix.of(source.packed, source.max_prefixlen)):
        yield f"{source} is inside the mesh {mesh}"


def _foreign(link: Link, ifname: str) -> str | None:
    """Return what makes the link's addresses unfit, None if nothing does."""
    if link.ifname == ifname:
        return "the mesh device"
    if link.ifname.startswith(_FOREIGN_NAMES):
        return "an interface for guests"
    return _FOREIGN_KINDS.get(link.kind or "")


async def _ways(server: str) -> tuple[list[Candidate], list[Link]]:
    """Return the routes to a server and the default ones, and the links that carry their sources."""
    candidates = [*await _towards(server), *_by_default()]
    return candidates, await _links({candidate.source for candidate in candidates})


async def _towards(server: str) -> list[Candidate]:
    """Ask the system for the routes to a server, which may have several addresses."""
    url = urlsplit(server)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.hostname or "", url.port or 4222, type=SOCK_DGRAM)
    except (OSError, UnicodeError):  # the resolver's fault may pass, and the default route is most often the same
        return [Candidate(f"address for the name {url.hostname}", None)]
    return [_probe(f"route to {target[0]}", family, target) for family, _, _, _, target in found]


def _by_default() -> list[Candidate]:
    return [_probe(route, family, (address, 9)) for route, family, address in DEFAULT_ROUTES]


def _probe(route: str, family: int, target: tuple[Any, ...]) -> Candidate:
    """Return the route to `target` as this host has it. Connecting UDP sends nothing."""
    try:
        with socket(family, SOCK_DGRAM) as probe:
            if family == AF_INET6:  # a temporary address (RFC 8981) would be gone tomorrow
                probe.setsockopt(IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC)
            probe.connect(target)
            source = ip_address(probe.getsockname()[0])
            mtu = probe.getsockopt(*_MTU_OPTIONS[family])
    except OSError:
        return Candidate(route, None)
    return Candidate(route, getattr(source, "ipv4_mapped", None) or source, mtu)


async def _links(addresses: Collection[Address | None]) -> list[Link]:
    """Read the links that carry `addresses`. Only those: a host may have thousands, at 0.4 ms each."""
    from pyroute2 import AsyncIPRoute, NetlinkError  # noqa: PLC0415  # slow to import

    try:
        async with AsyncIPRoute() as netlink:  # on a point-to-point link `address` is the other end's, `local` ours
            carried = [
                (message["index"], ip_address(message.get("local") or message.get("address")))
                async for message in await netlink.get_addr()
            ]
            wanted = {index for index, address in carried if address in addresses}
            found = [message for index in wanted async for message in await netlink.get_links(index)]
    except (OSError, NetlinkError) as error:
        raise ConfigError(
            f"advertise_address: this host's interfaces can't be read: {error}", hint="set advertise_address"
        ) from error
    return [
        Link(
            ifname=message.get("ifname"),
            kind=message.get(("linkinfo", "kind")),
            addresses=frozenset(address for index, address in carried if index == message["index"]),
            mtu=message.get("mtu"),
        )
        for message in found
    ]
