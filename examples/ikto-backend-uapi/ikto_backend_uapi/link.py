"""The link of a device, by the program `ip`: what userspace WireGuard leaves to others."""

import json
import socket
from collections.abc import Iterator
from ipaddress import ip_interface
from typing import Any, NamedTuple

from ikto_backend_uapi.programs import run
from ikto_core.plugins import BackendError, DevicePatch, Interface


class Connection(NamedTuple):
    """A link that is there, of whatever kind."""

    kind: str  # "tun" for userspace WireGuard; empty: a physical one
    mtu: int  # bytes
    up: bool
    addresses: frozenset[Interface]  # without the link-local one that a tun device gives itself


def find_link(ifname: str) -> Connection | None:
    """Return the link, None if it is absent."""
    try:
        entries = json.loads(run("ip", "-json", "-details", "address", "show", "dev", ifname))
    except BackendError:
        if ifname in (name for _, name in socket.if_nameindex()):
            raise
        return None
    return next((_link(entry) for entry in entries if entry.get("ifname") == ifname), None)


def _link(entry: dict[str, Any]) -> Connection:
    return Connection(
        kind=entry.get("linkinfo", {}).get("info_kind", ""),
        mtu=entry["mtu"],
        up="UP" in entry["flags"],
        addresses=frozenset(
            ip_interface(f"{address['local']}/{address['prefixlen']}")
            for address in entry["addr_info"]
            if (address["family"], address["scope"]) != ("inet6", "link")
        ),
    )


def link_batch(ifname: str, patch: DevicePatch, link: Connection) -> Iterator[str]:
    """Yield the lines for `ip -batch` that carry out the link's part of a patch; nothing if it names none.

    Linux removes an IPv4 subnet's later addresses with the first one, and all IPv6 addresses when the link goes down:
    so what is to go is written again before it is removed, and what is to stay afterwards.
    """
    there = link.addresses | patch.add_addresses
    gone = there & patch.remove_addresses
    if patch.mtu is not None:
        yield f"link set dev {ifname} mtu {patch.mtu}"
    yield from (f"address replace {address} dev {ifname}" for address in patch.add_addresses)
    for address in gone:
        yield f"address replace {address} dev {ifname}"
        yield f"address delete {address} dev {ifname}"
    if patch.up is not None:
        yield f"link set dev {ifname} {'up' if patch.up else 'down'}"
    if gone or patch.up is False:
        yield from (f"address replace {address} dev {ifname}" for address in there - gone)
