"""Netlink attributes, and the numbers of the WireGuard generic netlink family (linux/wireguard.h)."""

from collections.abc import Iterator
from struct import Struct

from ikto_core.plugins import BackendError

HEADER = Struct("=HH")
NESTED = 0x8000
_TYPE_MASK = 0x3FFF


# Plain numbers: members of an IntEnum cost a third of the time that a large device takes.


class Device:
    """Attributes of a device: WGDEVICE_A_*."""

    IFNAME = 2
    PRIVATE_KEY = 3
    FLAGS = 5
    LISTEN_PORT = 6
    FWMARK = 7
    PEERS = 8


class Peer:
    """Attributes of a peer: WGPEER_A_*."""

    PUBLIC_KEY = 1
    PRESHARED_KEY = 2
    FLAGS = 3
    ENDPOINT = 4
    PERSISTENT_KEEPALIVE = 5
    LAST_HANDSHAKE = 6
    RX_BYTES = 7
    TX_BYTES = 8
    ALLOWED_IPS = 9
    PROTOCOL_VERSION = 10


class AllowedIP:
    """Attributes of an allowed IP: WGALLOWEDIP_A_*."""

    FAMILY = 1
    ADDRESS = 2
    LENGTH = 3


class PeerFlag:
    """WGPEER_F_*."""

    REMOVE_ME = 1
    REPLACE_ALLOWED_IPS = 2
    UPDATE_ONLY = 4


REPLACE_PEERS = 1
"""WGDEVICE_F_REPLACE_PEERS: whoever is not named goes, at once."""


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded to four bytes; the payload has at most 65531."""
    return HEADER.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def attributes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Yield the type, and the payload's start and end in `data`, of each attribute that lies between two offsets.

    BackendError if one is shorter than its header or longer than its container.
    """
    end = len(data) if end is None else end
    unpack = HEADER.unpack_from
    while start + 4 <= end:
        length, kind = unpack(data, start)
        if length < 4 or start + length > end:
            raise BackendError(f"netlink: an attribute of {length} bytes where {end - start} are left")
        yield kind & _TYPE_MASK, start + 4, start + length
        start += (length + 3) & ~3
