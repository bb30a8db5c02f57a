"""Parses the JSON and monitor output of `ip`, and builds input for `ip -batch`. Pure."""

import re
from ipaddress import ip_interface
from typing import Any

import msgspec

from ikto_core.device.backend import DeviceEvent, DeviceEventKind
from ikto_core.device.model import DevicePatch, Interface
from ikto_core.errors import BackendError

KERNEL = "wireguard"
USERSPACE = "tun"

OTHER_IP = 'Install iproute2 (on OpenWrt the package ip-full), or use "backend": "netlink", which runs no program.'
"""What to do about an `ip` that can't do what is needed."""

_EVENT_LINE = re.compile(r"(?P<gone>Deleted )?\d+: (?P<ifname>[^\s:@]+)(?P<link>@[^\s:]+:|:)? ")


class LinkState(msgspec.Struct, frozen=True):
    """A network link of any kind."""

    kind: str  # IFLA_INFO_KIND of rtnetlink; empty: a hardware device
    mtu: int  # bytes
    up: bool
    addresses: frozenset[Interface]  # without IPv6 link-local ones, which the kernel gives to a tun device


class _Address(msgspec.Struct):
    """An address in the output of `ip`; some have no `local`."""

    local: str | None = None
    prefixlen: int = -1
    family: str = ""
    scope: str = ""


class _LinkInfo(msgspec.Struct, frozen=True):
    info_kind: str = ""


class _Entry(msgspec.Struct):
    """A link in the output of `ip`."""

    mtu: int
    flags: list[str]
    addr_info: list[_Address]
    linkinfo: _LinkInfo = _LinkInfo()


def check_ifname(ifname: str) -> None:
    """Raise BackendError if the kernel would refuse the name, or `wg` or `ip` could take it for something else."""
    bad = {"", ".", ".."}
    if ifname in bad or ifname.startswith("-") or len(ifname.encode()) > 15 or re.search(r"[\s/:@%\"'\\#]", ifname):
        raise BackendError(f"{ifname!r} is not a valid interface name")


def parse_link(text: str, ifname: str) -> LinkState | None:
    """Return the link `ifname` from the output of `ip -j -d address show`, None if absent; BackendError if invalid."""
    try:
        for entry in msgspec.json.decode(text or "[]", type=list[dict[str, Any]]):
            if entry.get("ifname") == ifname:  # `ip` also finds a link by its alternative names
                return _link(msgspec.convert(entry, _Entry))
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise BackendError(f"{ifname}: can't parse the output of ip: {error}", hint=OTHER_IP) from None
    return None


def _link(entry: _Entry) -> LinkState:
    return LinkState(
        kind=entry.linkinfo.info_kind,
        mtu=entry.mtu,
        up="UP" in entry.flags,
        addresses=frozenset(
            ip_interface(f"{address.local}/{address.prefixlen}")
            for address in entry.addr_info
            if address.local is not None and (address.family, address.scope) != ("inet6", "link")
        ),
    )


def link_batch(ifname: str, patch: DevicePatch, link: LinkState) -> str:
    """Return the input for `ip -batch` that applies the link part of a patch; empty if there is nothing to do.

    Linux removes an IPv4 subnet's secondary addresses with its primary one, and an IPv6 address has one prefix length
    only. So each address to remove is first written again, in case it is gone already, and after all removals the
    addresses that must stay are written again. Writing an address that is present changes nothing.
    """
    added = patch.add_addresses - link.addresses
    removed = (link.addresses | added) & patch.remove_addresses
    kept = (link.addresses | added) - removed if removed else frozenset()
    lines = [f"link set dev {ifname} mtu {patch.mtu}"] if patch.mtu is not None else []
    lines += [_address("replace", address, ifname) for address in _sorted(added)]
    lines += [_address(verb, address, ifname) for address in _sorted(removed) for verb in ("replace", "delete")]
    lines += [_address("replace", address, ifname) for address in _sorted(kept)]
    if patch.up is not None:
        lines.append(f"link set dev {ifname} {'up' if patch.up else 'down'}")
    if patch.up is False:  # the kernel removes the IPv6 addresses of a link that goes down
        lines += [_address("replace", address, ifname) for address in _sorted((link.addresses | added) - removed)]
    return "".join(f"{line}\n" for line in lines)


def _address(verb: str, address: Interface, ifname: str) -> str:
    return f"address {verb} {address} dev {ifname}"


def _sorted(addresses: frozenset[Interface]) -> list[Interface]:
    return sorted(addresses, key=lambda address: (address.version, int(address), address.network.prefixlen))


def parse_event(line: str) -> DeviceEvent | None:
    """Return the event of a line of `ip -o monitor link address`; None if the line is not about a link."""
    match = _EVENT_LINE.match(line)
    if not match:
        return None
    gone = match["gone"] and match["link"]  # a deleted address is a change of its link
    return DeviceEvent(match["ifname"], DeviceEventKind.GONE if gone else DeviceEventKind.CHANGED)
