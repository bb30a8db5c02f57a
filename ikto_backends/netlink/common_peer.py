"""Encodes the most common kind of peer with one `Struct.pack` call; the constant bytes are built once. Pure."""

from collections.abc import Callable
from functools import lru_cache
from socket import AF_INET, AF_INET6
from struct import Struct

from ikto_backends.netlink.attributes import HEADER, NESTED, AllowedIP, Peer, PeerFlag, attribute
from ikto_core.plugins import PeerPatch, parse_address

_U16 = Struct("=H")
_FLAGS = Struct("=I")
_FAMILIES = {4: _U16.pack(AF_INET), 16: _U16.pack(AF_INET6)}
_SOCKADDRS = {4: (16, "4s8x"), 16: (28, "4x16s4x")}  # the size, and the layout after the port


def encode_common_peer(peer: PeerPatch) -> bytes | None:
    """Return an encoded peer with one allowed IP, an endpoint without scope and no preshared key; None for others."""
    allowed_ips, endpoint = peer.allowed_ips, peer.endpoint
    if allowed_ips is None or endpoint is None or len(allowed_ips) != 1 or peer.preshared_key is not None:
        return None
    host, port = endpoint
    keepalive_s = peer.persistent_keepalive
    if "%" in host or not 0 <= port <= 0xFFFF or not 0 <= (keepalive_s or 0) <= 0xFFFF:
        return None
    ((address, length),) = allowed_ips
    packed = parse_address(host)
    pack, head, middle, listed, tail = _template(len(packed), len(address), keepalive_s, peer.create)
    return pack(head, peer.public_key, middle, port, packed, listed, address, tail, length)


@lru_cache(maxsize=64)
def _template(
    endpoint_bytes: int, address_bytes: int, keepalive_s: int | None, create: bool
) -> tuple[Callable[..., bytes], bytes, bytes, bytes, bytes]:
    """Return the pack function and the constant bytes for peers with these sizes and values."""
    flags = PeerFlag.REPLACE_ALLOWED_IPS | (0 if create else PeerFlag.UPDATE_ONLY)
    middle = attribute(Peer.FLAGS, _FLAGS.pack(flags))
    if keepalive_s is not None:
        middle += attribute(Peer.PERSISTENT_KEEPALIVE, _U16.pack(keepalive_s))
    size, rest = _SOCKADDRS[endpoint_bytes]
    middle += HEADER.pack(4 + size, Peer.ENDPOINT) + _FAMILIES[endpoint_bytes]
    listed = HEADER.pack(28 + address_bytes, Peer.ALLOWED_IPS | NESTED) + HEADER.pack(24 + address_bytes, NESTED)
    listed += attribute(AllowedIP.FAMILY, _FAMILIES[address_bytes]) + HEADER.pack(4 + address_bytes, AllowedIP.ADDRESS)
    layout = Struct(f"!8s32s{len(middle)}sH{rest}{len(listed)}s{address_bytes}s4sB3x")
    head = HEADER.pack(layout.size, NESTED) + HEADER.pack(36, Peer.PUBLIC_KEY)
    return layout.pack, head, middle, listed, HEADER.pack(5, AllowedIP.LENGTH)
