"""A long way between hosts: datagrams that arrive later than they were sent. Run on a host between the others.

    python -m tests.netns.relay ADDRESS DELAY_MS HOST...

A host, which listens on PORT, is reached at ADDRESS and FIRST_PORT plus its place in the list. What it sends that way
seems to come from its own such port.
"""

import asyncio
import sys
from collections.abc import Sequence

FIRST_PORT = 4000
PORT = 51820

Address = tuple[str, int]


class Door(asyncio.DatagramProtocol):
    """Where one host is reached; `doors` are those of all hosts, by address."""

    transport: asyncio.DatagramTransport

    def __init__(self, host: str, delay_s: float, doors: dict[str, "Door"]) -> None:
        self._host = host
        self._delay_s = delay_s
        self._doors = doors

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Forward a datagram, late, from the socket of its sender."""
        if sender := self._doors.get(addr[0]):
            loop = asyncio.get_running_loop()
            loop.call_later(self._delay_s, sender.transport.sendto, data, (self._host, PORT))


async def relay(address: str, delay_s: float, hosts: Sequence[str]) -> None:
    """Relay until cancelled; says `ready` once it does."""
    loop, doors = asyncio.get_running_loop(), dict[str, Door]()
    for number, host in enumerate(hosts):
        doors[host] = Door(host, delay_s, doors)
        local = (address, FIRST_PORT + number)
        await loop.create_datagram_endpoint(lambda host=host: doors[host], local_addr=local)  # type: ignore[misc]
    print("ready", flush=True)  # noqa: T201 - read by the process that started this one
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(relay(sys.argv[1], float(sys.argv[2]) / 1000, sys.argv[3:]))
