"""Handshake probes: a packet to a peer without a session makes WireGuard start a handshake."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from socket import AF_INET, AF_INET6, SOCK_DGRAM, SOCK_NONBLOCK, socket

from ikto_core.underlay.namespaces import call_within

DISCARD_PORT = 9
"""The discard service (RFC 863): a host that listens there drops what it receives."""

PROBES_PER_S = 100
"""How many probes a `Prober` sends at most: a handshake costs each side about 0.2 ms of a processor."""

PROBES_AT_ONCE = 10


class Prober:
    """Sends probes at PROBES_PER_S at most.

    Args:
        source: Returns the device's address in the mesh; None: it has none, and requests are dropped.
        netns: As for `probe_handshakes`.

    """

    def __init__(self, source: Callable[[], str | None], netns: str = "") -> None:
        self._source = source
        self._netns = netns
        self._waiting: dict[str, None] = {}  # addresses, in the order of their requests
        self._requested = asyncio.Event()

    def request(self, addresses: Iterable[str]) -> None:
        """Have these addresses probed soon."""
        self._waiting |= dict.fromkeys(addresses)
        if self._waiting:
            self._requested.set()

    async def run(self) -> None:
        """Send what is requested, until cancelled."""
        while True:
            await self._requested.wait()
            batch = list(self._waiting)[:PROBES_AT_ONCE]
            for address in batch:
                del self._waiting[address]
            if not self._waiting:
                self._requested.clear()
            if source := self._source():
                probe_handshakes(source, batch, self._netns)
            await asyncio.sleep(PROBES_AT_ONCE / PROBES_PER_S)


def probe_handshakes(source: str, addresses: Iterable[str], netns: str = "") -> None:
    """Send an empty datagram from `source` to each address. Addresses without a route are skipped. Never raises.

    Args:
        source: The device's address in the mesh. If this host doesn't have it, nothing is sent.
        addresses: Addresses in the mesh.
        netns: The device's network namespace, by name or path; empty: that of this process.

    """
    with suppress(OSError):  # there is no such namespace
        call_within(netns, lambda: _send(source, list(addresses)))


def _send(source: str, addresses: Iterable[str]) -> None:
    with suppress(OSError), socket(AF_INET6 if ":" in source else AF_INET, SOCK_DGRAM | SOCK_NONBLOCK) as sender:
        sender.bind((source, 0))
        for address in addresses:
            with suppress(OSError):  # the peer has no endpoint, or the device is down
                sender.sendto(b"", (address, DISCARD_PORT))
