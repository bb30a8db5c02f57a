"""Encodes a `DevicePatch` as messages of the WireGuard generic netlink family. Pure.

The kernel applies a message peer by peer, not atomically, and holds a lock that stops all other configuration.
"""

from collections.abc import Callable, Iterator
from socket import AF_INET, AF_INET6, if_nametoindex
from struct import Struct

from ikto_backends.netlink.attributes import HEADER, NESTED, REPLACE_PEERS, AllowedIP, Device, Peer, PeerFlag, attribute
from ikto_backends.netlink.common_peer import encode_common_peer
from ikto_core.plugins import BackendError, DevicePatch, Endpoint, PeerPatch, PublicKey, parse_address

MESSAGE_BYTES = 16 * 1024
"""Largest payload by default. Larger messages are no faster, and they hold the kernel's lock for longer."""

SMALLEST_MESSAGE_BYTES = 256
"""Enough for the attributes of a device, or for a peer with one allowed IP."""

LARGEST_MESSAGE_BYTES = 0xFFFF  # the attribute that contains the peers has a 16-bit length

_U16 = Struct("=H")
_U32 = Struct("=I")
_SOCKADDR_IN = Struct("!6sH4s8x")  # attribute header and family, port, address
_SOCKADDR_IN6 = Struct("!6sH4x16s4s")
_ENDPOINT_IPV4 = HEADER.pack(20, Peer.ENDPOINT) + _U16.pack(AF_INET)
_ENDPOINT_IPV6 = HEADER.pack(32, Peer.ENDPOINT) + _U16.pack(AF_INET6)

_PUBLIC_KEY = HEADER.pack(36, Peer.PUBLIC_KEY)
_FLAGS = [attribute(Peer.FLAGS, _U32.pack(flags)) for flags in range(8)]
_REMOVED = HEADER.pack(48, NESTED) + _PUBLIC_KEY
_ALLOWED_IPS = {  # by the size of the address
    size: HEADER.pack(size + 24, NESTED)
    + attribute(AllowedIP.FAMILY, _U16.pack(family))
    + HEADER.pack(size + 4, AllowedIP.ADDRESS)
    for size, family in ((4, AF_INET), (16, AF_INET6))
}
_LENGTHS = [attribute(AllowedIP.LENGTH, bytes([length])) for length in range(129)]


def encode_patch(
    ifname: str,
    patch: DevicePatch,
    limit: int = MESSAGE_BYTES,
    *,
    scope_id: Callable[[str], int] = if_nametoindex,
) -> list[bytes]:
    """Return the WG_CMD_SET_DEVICE payloads that write the WireGuard part of a patch; empty if it has none.

    Additions and changes come before removals. A peer that does not fit in `limit` is continued in the next message.

    Args:
        ifname: The device.
        patch: What to write. MTU, addresses and link state are not part of WireGuard and are ignored.
        limit: The most bytes of one payload.
        scope_id: Returns the index of the interface that the scope of a link-local endpoint names.

    Raises BackendError if a number is out of range, a host is not an IP address, or a scope is not an interface.

    """
    limit = min(max(limit, SMALLEST_MESSAGE_BYTES), LARGEST_MESSAGE_BYTES)
    name = attribute(Device.IFNAME, ifname.encode() + b"\0")
    head = name + _device_attributes(patch)
    messages, peers = [], bytearray()
    try:
        for fragment in _peer_fragments(patch, limit - len(name) - HEADER.size, scope_id):
            if len(head) + HEADER.size + len(peers) + len(fragment) > limit:
                messages.append(_message(head, peers))
                head, peers = name, bytearray()
            peers += fragment
    except ValueError as error:
        raise BackendError(f"invalid endpoint of a peer: {error}") from None
    if peers or head != name:
        messages.append(_message(head, peers))
    return messages


def encode_clear(ifname: str) -> bytes:
    """Return the payload of WG_CMD_SET_DEVICE that removes every peer at once."""
    return attribute(Device.IFNAME, ifname.encode() + b"\0") + attribute(Device.FLAGS, _U32.pack(REPLACE_PEERS))


def _message(head: bytes, peers: bytearray) -> bytes:
    return head + attribute(Device.PEERS | NESTED, bytes(peers)) if peers else head


def _device_attributes(patch: DevicePatch) -> bytes:
    encoded = bytearray()
    if patch.private_key is not None:
        encoded += attribute(Device.PRIVATE_KEY, patch.private_key)
    if patch.listen_port is not None:
        encoded += attribute(Device.LISTEN_PORT, _number("listen_port", _U16, patch.listen_port))
    if patch.fwmark is not None:
        encoded += attribute(Device.FWMARK, _number("fwmark", _U32, patch.fwmark))
    return bytes(encoded)


def _number(name: str, layout: Struct, value: int) -> bytes:
    largest = (1 << 8 * layout.size) - 1
    if not 0 <= value <= largest:
        raise BackendError(f"{name} {value} is out of range: 0 to {largest}")
    return layout.pack(value)


def _peer_fragments(patch: DevicePatch, limit: int, scope_id: Callable[[str], int]) -> Iterator[bytes]:
    """Yield the encoded peers, each whole or in several fragments of at most `limit` bytes."""
    for peer in patch.peers:
        if common := encode_common_peer(peer):
            yield common
        else:
            yield from _encode_any_peer(peer, limit, scope_id)
    for public_key in patch.remove_peers:
        yield _REMOVED + public_key + _FLAGS[PeerFlag.REMOVE_ME]


def _encode_any_peer(peer: PeerPatch, limit: int, scope_id: Callable[[str], int]) -> Iterator[bytes]:
    head = _peer_attributes(peer, scope_id)
    listed = [_ALLOWED_IPS[len(address)] + address + _LENGTHS[length] for address, length in peer.allowed_ips or ()]
    whole = b"".join(listed)
    if len(head) + len(whole) + 8 <= limit:
        yield _peer(head, whole)
    else:
        yield from _split(peer.public_key, head, listed, limit)


def _peer(head: bytes, allowed_ips: bytes) -> bytes:
    return attribute(NESTED, head + (attribute(Peer.ALLOWED_IPS | NESTED, allowed_ips) if allowed_ips else b""))


def _split(public_key: PublicKey, head: bytes, allowed_ips: list[bytes], limit: int) -> Iterator[bytes]:
    """Yield a peer's fragments: the first with all attributes, each later one with more allowed IPs only.

    Only the first has the flag that replaces the allowed IPs; in a later one it would remove those already written.
    Later ones never create the peer: if another program removes it meanwhile, it stays removed.
    """
    start = 0
    while start < len(allowed_ips):
        stop = _end_of_fitting(allowed_ips, start, limit - len(head) - 8)
        yield _peer(head, b"".join(allowed_ips[start:stop]))
        start, head = stop, _PUBLIC_KEY + public_key + _FLAGS[PeerFlag.UPDATE_ONLY]


def _end_of_fitting(encoded: list[bytes], start: int, room: int) -> int:
    """Return the end index of the longest run from `start` that fits in `room` bytes."""
    for stop in range(start, len(encoded)):
        room -= len(encoded[stop])
        if room < 0:
            return stop
    return len(encoded)


def _peer_attributes(peer: PeerPatch, scope_id: Callable[[str], int]) -> bytes:
    flags = 0 if peer.create else PeerFlag.UPDATE_ONLY
    if peer.allowed_ips is not None:
        flags |= PeerFlag.REPLACE_ALLOWED_IPS
    encoded = _PUBLIC_KEY + peer.public_key + _FLAGS[flags]
    if peer.preshared_key is not None:
        encoded += attribute(Peer.PRESHARED_KEY, peer.preshared_key)
    if peer.endpoint is not None:
        encoded += _endpoint(peer.endpoint, scope_id)
    if peer.persistent_keepalive is not None:
        value = _number("persistent_keepalive", _U16, peer.persistent_keepalive)
        encoded += attribute(Peer.PERSISTENT_KEEPALIVE, value)
    return encoded


def _endpoint(endpoint: Endpoint, scope_id: Callable[[str], int]) -> bytes:
    host, port = endpoint
    if not 0 <= port <= 0xFFFF:
        raise BackendError(f"port {port} is out of range: 0 to {0xFFFF}")
    if ":" not in host:
        return _SOCKADDR_IN.pack(_ENDPOINT_IPV4, port, parse_address(host))
    address, _, scope = host.partition("%")
    number = _number("the scope of an endpoint", _U32, _scope_number(scope, scope_id))
    return _SOCKADDR_IN6.pack(_ENDPOINT_IPV6, port, parse_address(address), number)


def _scope_number(scope: str, scope_id: Callable[[str], int]) -> int:
    if not scope:
        return 0
    if scope.isascii() and scope.isdigit():
        return int(scope)
    try:
        return scope_id(scope)
    except OSError:
        raise BackendError(f"the scope {scope!r} of an endpoint is not an interface of this host") from None
