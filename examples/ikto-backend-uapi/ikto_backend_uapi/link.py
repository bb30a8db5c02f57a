"""A device's link, through the program `ip`: addresses, MTU, up or down. Userspace WireGuard does not set them."""

import json
import socket
from collections.abc import Iterator
from ipaddress import ip_interface
from typing import Any, NamedTuple

from ikto_backend_uapi.programs import run
from ikto_core.plugins import BackendError, DevicePatch, Interface


class Link(NamedTuple):
    """An existing link of any kind."""

    kind: str  # "tun" for userspace WireGuard; empty: a physical interface
    mtu: int  # bytes
    up: bool
    addresses: frozenset[Interface]  # without the link-local address that the kernel gives to a tun device


def find_link(ifname: str) -> Link | None:
    """Return the link, None if it is absent."""
    try:
        entries = json.loads(run("ip", "-json", "-details", "address", "show", "dev", ifname))
    except BackendError:
        if ifname in (name for _, name in socket.if_nameindex()):
            raise
        return None
    return next((_link(entry) for entry in entries if entry.get("ifname") == ifname), None)


def _link(entry: dict[str, Any]) -> Link:
    return Link(
        kind=entry.get("linkinfo", {}).get("info_kind", ""),
        mtu=entry["mtu"],
        up="UP" in entry["flags"],
        addresses=frozenset(
            ip_interface(f"{address['local']}/{address['prefixlen']}")
            for address in entry["addr_info"]
            if (address["family"], address["scope"]) != ("inet6", "link")
        ),
    )


def link_batch(ifname: str, patch: DevicePatch, link: Link) -> Iterator[str]:
    """Yield the lines for `ip -batch` that apply the link's part of a patch; none if the patch does not change it.

    Linux removes an IPv4 subnet's secondary addresses with the primary one, and all IPv6 addresses when the link goes
    down. So an address is written again before it is removed, and the addresses that stay are written again at the end.
    """
    present = link.addresses | patch.add_addresses
    removed = present & patch.remove_addresses
    if patch.mtu is not None:
        yield f"link set dev {ifname} mtu {patch.mtu}"
    yield from (f"address replace {address} dev {ifname}" for address in patch.add_addresses)
    for address in removed:
        yield f"address replace {address} dev {ifname}"
        yield f"address delete {address} dev {ifname}"
    if patch.up is not None:
        yield f"link set dev {ifname} {'up' if patch.up else 'down'}"
    if removed or patch.up is False:
        yield from (f"address replace {address} dev {ifname}" for address in present - removed)
