"""The device as `ip` sees it: its JSON, its monitor and its batches. Pure."""

import re
from ipaddress import ip_interface
from typing import Any

import msgspec

from ikto_core.plugins import BackendError, DeviceEvent, DeviceEventKind, DevicePatch, Interface

KERNEL = "wireguard"
USERSPACE = "tun"

_MONITORED = re.compile(r"(?P<gone>Deleted )?\d+: (?P<ifname>[^\s:@]+)(?P<link>@[^\s:]+:|:)? ")


class Link(msgspec.Struct, frozen=True):
    """A link that is there, of whatever kind."""

    kind: str  # as rtnetlink names it; empty: a physical one
    mtu: int
    up: bool
    addresses: frozenset[Interface]  # without IPv6 link-local ones, which a tun device gets by itself


def check_ifname(ifname: str) -> None:
    """Raise BackendError if the kernel would refuse the name, or a program could read something else into it."""
    bad = {"", ".", ".."}
    if ifname in bad or ifname.startswith("-") or len(ifname.encode()) > 15 or re.search(r"[\s/:@%\"'\\#]", ifname):
        raise BackendError(f"{ifname!r} can't be the name of an interface")


def parse_link(text: str, ifname: str) -> Link | None:
    """Return the link `ifname` out of `ip -j -d address show`, None if it is not there; BackendError if unreadable."""
    try:
        for entry in msgspec.json.decode(text or "[]", type=list[dict[str, Any]]):
            if entry.get("ifname") == ifname:  # `ip` finds a link by its other names too
                return _link(entry)
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise BackendError(f"{ifname}: can't read what ip says of it: {error}") from None
    return None


def _link(entry: dict[str, Any]) -> Link:
    return Link(
        kind=entry.get("linkinfo", {}).get("info_kind", ""),
        mtu=int(entry["mtu"]),
        up="UP" in entry["flags"],
        addresses=frozenset(
            ip_interface(f"{address['local']}/{address['prefixlen']}")
            for address in entry["addr_info"]
            if "local" in address and (address["family"], address["scope"]) != ("inet6", "link")
        ),
    )


def link_batch(ifname: str, patch: DevicePatch, link: Link) -> str:
    """Return the lines for `ip -batch` that carry out the link's part of a patch; empty: there is nothing to do.

    With an IPv4 address go the later ones of its subnet, and an IPv6 address has one prefix length: so what shall go is
    written again before it is removed, and what shall stay behind all removals, which changes nothing that is there.
    """
    added = patch.add_addresses - link.addresses
    removed = (link.addresses | added) & patch.remove_addresses
    kept = (link.addresses | added) - removed if removed else frozenset()
    lines = [f"link set dev {ifname} mtu {patch.mtu}"] if patch.mtu is not None else []
    lines += [_address("replace", address, ifname) for address in _in_order(added)]
    lines += [_address(verb, address, ifname) for address in _in_order(removed) for verb in ("replace", "delete")]
    lines += [_address("replace", address, ifname) for address in _in_order(kept)]
    if patch.up is not None:
        lines.append(f"link set dev {ifname} {'up' if patch.up else 'down'}")
    if patch.up is False:  # which takes the IPv6 addresses away
        lines += [_address("replace", address, ifname) for address in _in_order((link.addresses | added) - removed)]
    return "".join(f"{line}\n" for line in lines)


def _address(verb: str, address: Interface, ifname: str) -> str:
    return f"address {verb} {address} dev {ifname}"


def _in_order(addresses: frozenset[Interface]) -> list[Interface]:
    return sorted(addresses, key=lambda address: (address.version, int(address), address.network.prefixlen))


def parse_event(line: str) -> DeviceEvent | None:
    """Return what a line of `ip -o monitor link address` tells; None: nothing about a device."""
    seen = _MONITORED.match(line)
    if not seen:
        return None
    gone = seen["gone"] and seen["link"]  # a deleted address is a change
    return DeviceEvent(seen["ifname"], DeviceEventKind.GONE if gone else DeviceEventKind.CHANGED)
