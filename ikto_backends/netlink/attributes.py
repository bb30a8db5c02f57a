"""Netlink attributes and the constants of the WireGuard generic netlink family (linux/wireguard.h)."""

from collections.abc import Iterator
from struct import Struct

from ikto_core.plugins import BackendError

HEADER = Struct("=HH")
NESTED = 0x8000
_TYPE_MASK = 0x3FFF


# Plain integers, not IntEnum: access to IntEnum members took a third of the time of a large device.


class Device:
    """Device attributes: WGDEVICE_A_*."""

    IFNAME = 2
    PRIVATE_KEY = 3
    FLAGS = 5
    LISTEN_PORT = 6
    FWMARK = 7
    PEERS = 8


class Peer:
    """Peer attributes: WGPEER_A_*."""

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
    """Allowed IP attributes: WGALLOWEDIP_A_*."""

    FAMILY = 1
    ADDRESS = 2
    LENGTH = 3


class PeerFlag:
    """Peer flags: WGPEER_F_*."""

    REMOVE_ME = 1
    REPLACE_ALLOWED_IPS = 2
    UPDATE_ONLY = 4


REPLACE_PEERS = 1
"""WGDEVICE_F_REPLACE_PEERS: the kernel removes all peers before it adds those of the message."""


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one encoded attribute, padded to four bytes. The payload must not exceed 65531 bytes."""
    return HEADER.pack(4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def attributes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int, int]]:
    """Yield the type and the payload's start and end offset in `data` of each attribute between two offsets.

    Raises BackendError if an attribute is shorter than its header or longer than its container.
    """
    end = len(data) if end is None else end
    unpack = HEADER.unpack_from
    while start + 4 <= end:
        length, kind = unpack(data, start)
        if length < 4 or start + length > end:
            raise BackendError(f"netlink: attribute of {length} bytes, but {end - start} bytes are left")
        yield kind & _TYPE_MASK, start + 4, start + length
        start += (length + 3) & ~3
