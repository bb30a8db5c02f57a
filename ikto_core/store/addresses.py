"""The addresses of a NATS server, in the order in which they are dialled."""

import asyncio
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from itertools import chain, zip_longest
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_PORT = 4222
LOOKUP_TIMEOUT_S = 10.0
"""Time limit for the look-up of a name; a resolver without an answer may take longer."""


class Target(NamedTuple):
    """One address of one server."""

    server: str  # URL
    address: str = ""  # empty: the URL has an address, or what dials looks it up
    is_last: bool = True  # nothing is left to dial if this one fails


async def targets(server: str, *, is_last: bool = True) -> list[Target]:
    """Look up the host of a NATS URL and return its addresses, families interleaved.

    A WebSocket has one target: aiohttp dials all addresses itself. `is_last`: no other server is dialled after this
    one. Raises OSError if the host has no address.
    """
    url = urlsplit(server)
    if url.scheme.startswith("ws") or _is_address(url.hostname or ""):
        return [Target(server, is_last=is_last)]
    addresses = await addresses_of(server)
    return [Target(server, address, is_last and address == addresses[-1]) for address in addresses]


async def addresses_of(server: str) -> list[str]:
    """Return the addresses of the host of a NATS URL, families interleaved. Raises OSError if it has none."""
    url = urlsplit(server)
    host = url.hostname or ""
    if _is_address(host):
        return [host]
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(LOOKUP_TIMEOUT_S):
        found = await loop.getaddrinfo(host, url.port or DEFAULT_PORT, type=socket.SOCK_STREAM)
    return interleaved((family, _text(sockaddr)) for family, _, _, _, sockaddr in found)


def interleaved(found: Iterable[tuple[int, str]]) -> list[str]:
    """Return addresses, given with their family, so that families alternate; each once (RFC 8305, section 4).

    The family of the first address comes first, and each family keeps its order, which is that of RFC 6724.
    """
    families: dict[int, dict[str, None]] = {}
    for family, address in found:
        families.setdefault(family, {})[address] = None
    return list(filter(None, chain.from_iterable(zip_longest(*families.values()))))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _text(sockaddr: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> str:
    """Return the address of a socket address, with its zone if it is link-local."""
    host, zone = str(sockaddr[0]), sockaddr[3] if len(sockaddr) == 4 else 0
    return f"{host}%{zone}" if zone and "%" not in host else host
