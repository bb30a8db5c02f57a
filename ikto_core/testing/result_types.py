"""Checks that a backend's results have the types of the contract; the message says which member has not."""

import inspect
from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface

from ikto_core.device.backend import DeviceEvent, DeviceEventKind
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.testing.verdict import ClauseError
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PrivateKey, PublicKey

NOTHING = type(None)
_DEVICE: dict[str, tuple[type, ...]] = {
    "private_key": (PrivateKey, NOTHING), "listen_port": (int,), "fwmark": (int,), "mtu": (int,), "up": (bool,),
    "addresses": (frozenset,), "peers": (Mapping,),
}  # fmt: skip
_PEER: dict[str, tuple[type, ...]] = {
    "public_key": (PublicKey,), "allowed_ips": (frozenset,), "endpoint": (Endpoint, NOTHING),
    "persistent_keepalive": (int,), "preshared_key": (PresharedKey, NOTHING),
    "last_handshake": (float, int, NOTHING), "rx_bytes": (int,), "tx_bytes": (int,),
}  # fmt: skip


def check_device(state: DeviceState | None) -> DeviceState | None:
    """Return what `read` returned; ClauseError if it or a member has another type."""
    if state is None:
        return None
    found: object = state
    if not isinstance(found, DeviceState):
        raise ClauseError("C23", f"your `read` returned {type(found).__name__}, not a DeviceState or None")
    _check_members("DeviceState", state, _DEVICE)
    _check_elements("DeviceState.addresses", state.addresses, (IPv4Interface, IPv6Interface))
    for key, peer in state.peers.items():
        check_peer(peer)
        if key != peer.public_key:
            raise ClauseError("C23", f"your `read` has the peer {peer.public_key.text} under the key {key!r}")
    return state


def check_peer(peer: PeerState) -> None:
    """Raise ClauseError if a peer or a member of it has another type."""
    found: object = peer
    if not isinstance(found, PeerState):
        raise ClauseError("C23", f"you returned {type(found).__name__} as a peer, not a PeerState")
    _check_members("PeerState", peer, _PEER)
    _check_elements("PeerState.allowed_ips", peer.allowed_ips, (Prefix,))


def check_event(event: DeviceEvent) -> DeviceEvent:
    """Return an event; ClauseError if it is none."""
    found: object = event
    if not isinstance(found, DeviceEvent):
        raise ClauseError("C9", f"your `events` yielded {type(found).__name__}, not a DeviceEvent")
    kind: object = event.kind
    if not isinstance(kind, DeviceEventKind):
        raise ClauseError("C9", f"your `events` yielded {event!r}, whose kind is not a DeviceEventKind")
    return event


def check_method(backend: object, name: str) -> None:
    """Raise ClauseError if a backend lacks a method, or has one that is not async."""
    if backend is None:
        raise ClauseError("C23", "your `open` yielded None, not a backend")
    method = getattr(backend, name, None)
    if not callable(method):
        raise ClauseError("C23", f"your backend, a {type(backend).__name__}, has no method `{name}`")
    if name != "events" and inspect.isasyncgenfunction(method):
        raise ClauseError("C23", f"your `{name}` is an async generator: it must not have `yield`")


def _check_members(what: str, record: object, types: Mapping[str, tuple[type, ...]]) -> None:
    for name, allowed in types.items():
        value = getattr(record, name)
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            wanted = " or ".join("None" if kind is NOTHING else kind.__name__ for kind in allowed)
            raise ClauseError("C23", f"{what}.{name} is {type(value).__name__}, expected {wanted}")


def _check_elements(what: str, values: frozenset[object] | frozenset[Prefix], types: tuple[type, ...]) -> None:
    for value in values:
        if not isinstance(value, types):
            raise ClauseError("C23", f"{what} has a {type(value).__name__}, expected {types[0].__name__}")
