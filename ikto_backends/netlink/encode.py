"""What to send so that a device is changed: `DevicePatch` as messages of the WireGuard generic netlink family.

Pure. The kernel carries out a message peer by peer, not atomically, under a lock that stops all other configuration.
"""

from collections.abc import Callable, Iterator
from socket import AF_INET, AF_INET6, if_nametoindex
from struct import Struct

from ikto_backends.netlink.attributes import HEADER, NESTED, REPLACE_PEERS, AllowedIP, Device, Peer, PeerFlag, attribute
from ikto_core.addressing import Endpoint, Prefix, parse_address
from ikto_core.errors import BackendError
from ikto_core.keys import PublicKey
from ikto_core.model import DevicePatch, PeerPatch

MESSAGE_BYTES = 16 * 1024
"""How large a message may be: as quick as larger ones, and the kernel's lock is held for less long."""

SMALLEST_MESSAGE_BYTES = 256
"""A device's own attributes, or a peer's with one allowed IP, fit in."""

LARGEST_MESSAGE_BYTES = 0xFFFF  # the length of the attribute around all peers has 16 bits

_U16 = Struct("=H")
_U32 = Struct("=I")
_PORT = Struct("!H")
_SOCKADDR_IN = Struct("=H2s4s8x")
_SOCKADDR_IN6 = Struct("=H2sI16sI")
# Headers, values and padding in one go, for there are many: a peer's key and flags, and the three of an allowed IP.
_HEAD = Struct("=HH32s HHI")
_ALLOWED_IPV4 = Struct("=HH HHHxx HH4s HHBxxx")
_ALLOWED_IPV6 = Struct("=HH HHHxx HH16s HHBxxx")


def encode_patch(
    ifname: str,
    patch: DevicePatch,
    limit: int = MESSAGE_BYTES,
    *,
    scope_id: Callable[[str], int] = if_nametoindex,
) -> list[bytes]:
    """Return the payloads of WG_CMD_SET_DEVICE that write what WireGuard has of a patch; none if it has nothing.

    Additions and changes come before removals. A peer that `limit` splits is continued in the next message.

    Args:
        ifname: The device.
        patch: What to write; its MTU, addresses and link state are not WireGuard's and are left out.
        limit: How many bytes a payload may have.
        scope_id: Gives the number of the interface that a link-local endpoint's scope names.

    Raises BackendError if a number is out of its range or a scope is no interface.

    """
    limit = min(max(limit, SMALLEST_MESSAGE_BYTES), LARGEST_MESSAGE_BYTES)
    name = attribute(Device.IFNAME, ifname.encode() + b"\0")
    head = name + _device_attributes(patch)
    messages, peers = [], bytearray()
    for fragment in _fragments(patch, limit - len(name) - HEADER.size, scope_id):
        if len(head) + HEADER.size + len(peers) + len(fragment) > limit:
            messages.append(_message(head, peers))
            head, peers = name, bytearray()
        peers += fragment
    if peers or head != name:
        messages.append(_message(head, peers))
    return messages


def encode_clear(ifname: str) -> bytes:
    """Return the payload of WG_CMD_SET_DEVICE that removes every peer at once."""
    return attribute(Device.IFNAME, ifname.encode() + b"\0") + attribute(Device.FLAGS, _U32.pack(REPLACE_PEERS))


def _message(head: bytes, peers: bytearray) -> bytes:
    return head + attribute(Device.PEERS | NESTED, bytes(peers)) if peers else head


def _device_attributes(patch: DevicePatch) -> bytes:
    found = bytearray()
    if patch.private_key is not None:
        found += attribute(Device.PRIVATE_KEY, patch.private_key)
    if patch.listen_port is not None:
        found += attribute(Device.LISTEN_PORT, _number("listen_port", _U16, patch.listen_port))
    if patch.fwmark is not None:
        found += attribute(Device.FWMARK, _number("fwmark", _U32, patch.fwmark))
    return bytes(found)


def _number(name: str, form: Struct, value: int) -> bytes:
    largest = (1 << 8 * form.size) - 1
    if not 0 <= value <= largest:
        raise BackendError(f"{name} {value} is not 0 to {largest}")
    return form.pack(value)


def _fragments(patch: DevicePatch, limit: int, scope_id: Callable[[str], int]) -> Iterator[bytes]:
    """Yield peers, each in one piece or in several, none longer than `limit`."""
    for peer in patch.peers:
        yield from _split(peer, limit, scope_id)
    for public_key in patch.remove_peers:
        yield attribute(NESTED, _head(public_key, PeerFlag.REMOVE_ME))


def _split(peer: PeerPatch, limit: int, scope_id: Callable[[str], int]) -> Iterator[bytes]:
    """Yield a peer's fragments: the first says all but the allowed IPs that don't fit, each other one only these.

    What replaces them all is in the first one only; a later one would drop the earlier ones' again. And the later
    ones create no peer: if somebody removes it meanwhile, it stays away.
    """
    head = _peer_attributes(peer, scope_id)
    encoded = [_allowed_ip(prefix) for prefix in peer.allowed_ips or ()]
    start = 0
    while True:
        stop = _fitting(encoded, start, limit - len(head) - 8)
        payload = b"".join(encoded[start:stop])
        yield attribute(NESTED, head + (attribute(Peer.ALLOWED_IPS | NESTED, payload) if payload else b""))
        if stop == len(encoded):
            return
        start, head = stop, _head(peer.public_key, PeerFlag.UPDATE_ONLY)


def _fitting(encoded: list[bytes], start: int, room: int) -> int:
    """Return the end of the longest run from `start` that fits."""
    for stop in range(start, len(encoded)):
        room -= len(encoded[stop])
        if room < 0:
            return stop
    return len(encoded)


def _peer_attributes(peer: PeerPatch, scope_id: Callable[[str], int]) -> bytes:
    flags = 0 if peer.create else PeerFlag.UPDATE_ONLY
    if peer.allowed_ips is not None:
        flags |= PeerFlag.REPLACE_ALLOWED_IPS
    found = _head(peer.public_key, flags)
    if peer.preshared_key is not None:
        found += attribute(Peer.PRESHARED_KEY, peer.preshared_key)
    if peer.endpoint is not None:
        found += attribute(Peer.ENDPOINT, _sockaddr(peer.endpoint, scope_id))
    if peer.persistent_keepalive is not None:
        value = _number("persistent_keepalive", _U16, peer.persistent_keepalive)
        found += attribute(Peer.PERSISTENT_KEEPALIVE, value)
    return found


def _head(public_key: PublicKey, flags: int) -> bytes:
    return _HEAD.pack(36, Peer.PUBLIC_KEY, public_key, 8, Peer.FLAGS, flags)


def _sockaddr(endpoint: Endpoint, scope_id: Callable[[str], int]) -> bytes:
    host, _, scope = endpoint.host.partition("%")
    port = _number("port", _PORT, endpoint.port)
    address = parse_address(host)
    if len(address) == 4:
        return _SOCKADDR_IN.pack(AF_INET, port, address)
    return _SOCKADDR_IN6.pack(AF_INET6, port, 0, address, _scope_number(scope, scope_id))


def _scope_number(scope: str, scope_id: Callable[[str], int]) -> int:
    if not scope:
        return 0
    if scope.isascii() and scope.isdigit():
        return int(scope)
    try:
        return scope_id(scope)
    except OSError:
        raise BackendError(f"an endpoint's scope {scope!r} is no interface of this host") from None


def _allowed_ip(prefix: Prefix) -> bytes:
    family, form = (AF_INET, _ALLOWED_IPV4) if len(prefix.address) == 4 else (AF_INET6, _ALLOWED_IPV6)
    return form.pack(
        form.size, NESTED,
        6, AllowedIP.FAMILY, family,
        HEADER.size + len(prefix.address), AllowedIP.ADDRESS, prefix.address,
        5, AllowedIP.LENGTH, prefix.length,
    )  # fmt: skip
