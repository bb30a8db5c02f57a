"""What the files of this host say: capabilities, sysctls, routes, programs. Reads files only; `root` is for tests."""

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path
from typing import NamedTuple

from ikto_core.values.addressing import Prefix

ROOT = Path("/")
TUN = Path("/dev/net/tun")

CAP_NET_ADMIN = 12  # linux/capability.h

_REJECTED = 0x0200  # RTF_REJECT: linux/route.h


class HostRoute(NamedTuple):
    """A route of this host, of any table that the kernel lists."""

    prefix: Prefix
    ifname: str


def text_of(path: Path) -> str:
    """Return the content of a small file without the space around it; empty if it can't be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def may_configure_networks(root: Path = ROOT) -> bool:
    """Return whether this process has CAP_NET_ADMIN."""
    for line in text_of(root / "proc/self/status").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> CAP_NET_ADMIN & 1)
    return os.geteuid() == 0


def kernel_has_wireguard(root: Path = ROOT) -> bool:
    """Return whether the kernel has WireGuard: it is loaded, built in, or there is a module for it."""
    if (root / "sys/module/wireguard").exists():
        return True
    modules = root / "lib/modules" / os.uname().release
    return any("/wireguard.ko" in text_of(modules / name) for name in ("modules.builtin", "modules.dep"))


def can_open(device: Path) -> bool:
    """Return whether this process can open a device for reading and writing."""
    try:
        os.close(os.open(device, os.O_RDWR))
    except OSError:
        return False
    return True


def sysctl(name: str, root: Path = ROOT) -> str:
    """Return a setting of the kernel, such as `net/ipv4/ip_forward`; empty if there is none."""
    return text_of(root / "proc/sys" / name)


def routes(root: Path = ROOT) -> list[HostRoute]:
    """Return the routes of this host: of the main table (IPv4), and of all tables (IPv6)."""
    ipv4, ipv6 = text_of(root / "proc/net/route"), text_of(root / "proc/net/ipv6_route")
    return [*_routes4(ipv4.splitlines()[1:]), *_routes6(ipv6.splitlines())]


def _routes4(lines: Iterable[str]) -> Iterator[HostRoute]:
    """Yield the routes in lines of /proc/net/route: net/ipv4/fib_trie.c writes addresses in host order."""
    for line in lines:
        ifname, destination, _, flags, _, _, _, mask = line.split()[:8]
        if not int(flags, 16) & _REJECTED:
            length = int(mask, 16).bit_count()
            yield HostRoute(Prefix.of(int(destination, 16).to_bytes(4, sys.byteorder), length), ifname)


def _routes6(lines: Iterable[str]) -> Iterator[HostRoute]:
    """Yield the routes in lines of /proc/net/ipv6_route: net/ipv6/ip6_fib.c."""
    for line in lines:
        destination, length, *_, flags, ifname = line.split()
        if not int(flags, 16) & _REJECTED:
            yield HostRoute(Prefix.of(bytes.fromhex(destination), int(length, 16)), ifname)


def port_is_free(port: int) -> bool:
    """Return whether a UDP port of this network namespace is free, for both families; True if that can't be seen."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):  # noqa: S104 - nothing is received
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if error.errno == EADDRINUSE:
                    return False
    return True
