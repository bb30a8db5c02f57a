"""Reads this host's routes and interfaces. Sends no packets: connecting a UDP socket only looks the route up."""

import asyncio
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from ipaddress import ip_address
from socket import (
    AF_INET,
    AF_INET6,
    AI_NUMERICHOST,
    IPPROTO_IP,
    IPPROTO_IPV6,
    SO_MARK,
    SOCK_DGRAM,
    SOL_SOCKET,
    getaddrinfo,
    gethostname,
    socket,
)
from typing import Any
from urllib.parse import urlsplit

import msgspec

from ikto_core.errors import ConfigError
from ikto_core.underlay.daemon_thread import DaemonThread
from ikto_core.underlay.paths import Address, Link, Route
from ikto_core.underlay.rtnetlink import Rtnetlink
from ikto_core.values.addressing import Endpoint

_IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC = 72, 2  # linux/in6.h; RFC 5014
_MTU_OPTIONS: Mapping[int, tuple[int, int]] = {
    AF_INET: (IPPROTO_IP, 14),  # IP_MTU: linux/in.h
    AF_INET6: (IPPROTO_IPV6, 24),  # IPV6_MTU: linux/in6.h
}

LINKS_TIMEOUT_S = 5.0
"""Generous: the kernel answers in milliseconds, unless a link is blocked (decision 16)."""


class Target(msgspec.Struct, frozen=True):
    """Where a route leads to."""

    name: str  # of the route, for messages
    family: int = AF_INET
    address: tuple[Any, ...] | None = None  # as `socket.connect` takes it; None: unknown

    @property
    def host(self) -> str:
        """The address's IP literal; empty: unknown."""
        return str(self.address[0]) if self.address else ""


DEFAULT_ROUTES = (
    Target("default IPv4 route", AF_INET, ("192.0.2.1", 9)),
    Target("default IPv6 route", AF_INET6, ("2001:db8::1", 9)),
)
"""Documentation addresses (RFC 5737, RFC 3849) are reached over the default route. IPv4 first: more peers have it."""


async def targets_of(server: str) -> tuple[Target, ...]:
    """Return each address of a NATS server, best first, given its URL such as `nats://host:4222`."""
    url = urlsplit(server)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.hostname or "", url.port or 4222, type=SOCK_DGRAM)
    except (OSError, UnicodeError):  # may be temporary, and the default route is mostly the same
        return (Target(f"address for the name {url.hostname}"),)
    return tuple(Target(f"route to {address[0]}", family, address) for family, _, _, _, address in found)


def route_to(target: Target, fwmark: int = 0) -> Route:
    """Return this host's route to `target`, for packets with this firewall mark (0: none)."""
    if target.address is None:
        return Route(target.name, None)
    try:
        with socket(target.family, SOCK_DGRAM) as probe:
            if target.family == AF_INET6:  # a temporary address (RFC 8981) expires within days
                probe.setsockopt(IPPROTO_IPV6, _IPV6_ADDR_PREFERENCES, _PREFER_PUBLIC)
            _mark(probe, fwmark)
            probe.connect(target.address)
            source = ip_address(probe.getsockname()[0])
            mtu = probe.getsockopt(*_MTU_OPTIONS[target.family])
    except OSError:
        return Route(target.name, None)
    return Route(target.name, getattr(source, "ipv4_mapped", None) or source, mtu)


def has_route(endpoint: Endpoint, fwmark: int = 0) -> bool:
    """Return whether this host has a route to an endpoint, for packets with this firewall mark. Takes about 10 µs."""
    return source_to(endpoint, fwmark) is not None


def source_to(endpoint: Endpoint, fwmark: int = 0) -> Address | None:
    """Return the address from which this host sends to an endpoint; None if it has no route. Else as `has_route`."""
    try:
        ((family, _, _, _, target),) = getaddrinfo(*endpoint, type=SOCK_DGRAM, flags=AI_NUMERICHOST)
        with socket(family, SOCK_DGRAM) as probe:
            _mark(probe, fwmark)
            probe.connect(target)
            return ip_address(probe.getsockname()[0].partition("%")[0])
    except OSError:
        return None


def has_address(address: str) -> bool:
    """Return whether this host has an address, an IP literal: a socket can be bound to it."""
    try:
        ((family, _, _, _, source),) = getaddrinfo(address, 0, type=SOCK_DGRAM, flags=AI_NUMERICHOST)
        with socket(family, SOCK_DGRAM) as probe:
            probe.bind(source)
    except OSError:
        return False
    return True


class LinkReader:
    """Reads this host's links in a thread: on a host with a blocked link the kernel does not answer.

    `fwmark`: the firewall mark of packets whose default routes count; 0: none.
    """

    def __init__(self, fwmark: int = 0) -> None:
        self._thread = DaemonThread("links")
        self._fwmark = fwmark

    async def read(self, addresses: Collection[Address]) -> list[Link]:
        """Return the links that have one of `addresses` or carry a default route.

        Only those: a host may have thousands, and each takes 0.4 ms.

        Raises ConfigError if the interfaces can't be read; after LINKS_TIMEOUT_S if the kernel does not answer.
        """
        try:
            return await self._thread.run(lambda: _read_links(addresses, self._fwmark), LINKS_TIMEOUT_S)
        except TimeoutError:
            why = f"the kernel has not answered for {LINKS_TIMEOUT_S:g} s"
        except OSError as error:
            why = str(error)
        raise ConfigError(
            f"advertise_address: this host's interfaces can't be read: {why}", hint="set advertise_address"
        )


def _read_links(addresses: Collection[Address], fwmark: int) -> list[Link]:
    with Rtnetlink() as kernel:
        assigned = kernel.addresses()
        uplinks = _uplinks(kernel, fwmark)
        wanted = {index for index, address in assigned if address in addresses} | uplinks
        return [
            Link(
                *(facts := kernel.link(index))[:2],
                addresses=frozenset(address for each, address in assigned if each == index),
                mtu=facts.mtu,
                is_uplink=index in uplinks,
            )
            for index in wanted
        ]


def _uplinks(kernel: Rtnetlink, fwmark: int) -> set[int]:
    """Return the indexes of the links that the default routes lead through. One question each: no table is read."""
    found = set[int | None]()
    for target in DEFAULT_ROUTES:
        with suppress(OSError):  # there is no such route
            found.add(kernel.index_of_route(ip_address(target.host), fwmark))
    return {index for index in found if index is not None}


def host_name() -> str:
    """Return the host name; bytes that are not UTF-8 are replaced, since a record is UTF-8."""
    return os.fsencode(gethostname()).decode(errors="replace")


def _mark(probe: socket, fwmark: int) -> None:
    if fwmark:
        with suppress(PermissionError):  # without CAP_NET_ADMIN: the route of unmarked packets is the best guess
            probe.setsockopt(SOL_SOCKET, SO_MARK, fwmark)
