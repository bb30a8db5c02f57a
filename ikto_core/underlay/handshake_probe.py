"""Handshake probes: WireGuard starts a handshake with a peer when there is a packet to send to it, so send one."""

import ctypes
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from socket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_NONBLOCK, socket

DISCARD_PORT = 9
"""The discard service (RFC 863): a host that listens there drops what it receives."""

NAMESPACES = Path("/run/netns")
_CLONE_NEWNET = 0x40000000  # linux/sched.h


def probe_handshakes(source: str, addresses: Iterable[str], netns: str = "") -> None:
    """Send an empty datagram from `source` to each address. Addresses without a route are skipped. Never raises.

    Args:
        source: The device's address in the mesh. If this host doesn't have it, nothing is sent.
        addresses: Addresses in the mesh.
        netns: The device's network namespace, by name or path; empty: that of this process.

    """
    if not netns:
        _send(source, addresses)
        return
    with ThreadPoolExecutor(max_workers=1) as thread:  # setns(2) moves only the calling thread, which ends here
        thread.submit(_send_within, netns, source, list(addresses)).exception()


def _send_within(netns: str, source: str, addresses: Iterable[str]) -> None:
    with (NAMESPACES / netns).open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can't enter the namespace {netns}")
    _send(source, addresses)


def _send(source: str, addresses: Iterable[str]) -> None:
    with suppress(OSError), socket(AF_INET6 if ":" in source else AF_INET, SOCK_DGRAM | SOCK_NONBLOCK) as sender:
        sender.bind((source, 0))
        for address in addresses:
            with suppress(OSError):  # the peer has no endpoint, or the device is down
                sender.sendto(b"", (address, DISCARD_PORT))
