"""Converts between records and WireGuard's userspace protocol (https://www.wireguard.com/xplatform/). Pure."""

from collections.abc import Iterable, Iterator

from ikto_core.plugins import (
    DevicePatch,
    DeviceState,
    Endpoint,
    PeerPatch,
    PeerState,
    Prefix,
    PresharedKey,
    PrivateKey,
    PublicKey,
)

Pairs = Iterable[tuple[str, str]]
"""The `name=value` lines of an answer."""


def device_of(pairs: Pairs) -> DeviceState:
    """Return the device in the answer to `get=1`, without its link; ValueError if the answer is invalid."""
    sections: list[list[tuple[str, str]]] = [[]]
    for name, value in pairs:
        if name == "public_key":  # the first line of a peer
            sections.append([])
        sections[-1].append((name, value))
    device, *peers = sections
    fields = dict(device)
    return DeviceState(
        private_key=PrivateKey(bytes.fromhex(fields["private_key"])) if "private_key" in fields else None,
        listen_port=int(fields.get("listen_port", 0)),
        fwmark=int(fields.get("fwmark", 0)),
        peers={peer.public_key: peer for peer in map(_peer, peers)},
    )


def _peer(pairs: Pairs) -> PeerState:
    fields = dict(pairs)
    preshared = PresharedKey(bytes.fromhex(fields.get("preshared_key", "00" * 32)))
    handshake = int(fields.get("last_handshake_time_sec", 0)) + int(fields.get("last_handshake_time_nsec", 0)) / 1e9
    return PeerState(
        public_key=PublicKey(bytes.fromhex(fields["public_key"])),
        preshared_key=preshared if any(preshared) else None,
        endpoint=Endpoint.parse(fields["endpoint"]) if "endpoint" in fields else None,
        allowed_ips=frozenset(Prefix.parse(value) for name, value in pairs if name == "allowed_ip"),
        persistent_keepalive=int(fields.get("persistent_keepalive_interval", 0)),
        last_handshake=handshake or None,  # 0: never
        rx_bytes=int(fields.get("rx_bytes", 0)),
        tx_bytes=int(fields.get("tx_bytes", 0)),
    )


def interface_lines(patch: DevicePatch) -> Iterator[str]:
    """Yield the lines of `set=1` for the device itself; none if the patch does not change it."""
    if patch.private_key is not None:
        yield f"private_key={patch.private_key.hex()}"
    if patch.listen_port is not None:
        yield f"listen_port={patch.listen_port}"
    if patch.fwmark is not None:
        yield f"fwmark={patch.fwmark}"


def peer_lines(patch: DevicePatch) -> Iterator[str]:
    """Yield the lines of `set=1` for the peers: additions and changes, then removals."""
    for peer in patch.peers:
        yield from _changes(peer)
    for key in patch.remove_peers:
        yield f"public_key={key.hex()}"
        yield "remove=true"


def _changes(peer: PeerPatch) -> Iterator[str]:
    yield f"public_key={peer.public_key.hex()}"
    if not peer.create:
        yield "update_only=true"
    if peer.preshared_key is not None:
        yield f"preshared_key={peer.preshared_key.hex()}"
    if peer.endpoint is not None:
        yield f"endpoint={peer.endpoint}"
    if peer.persistent_keepalive is not None:
        yield f"persistent_keepalive_interval={peer.persistent_keepalive}"
    if peer.allowed_ips is not None:
        yield "replace_allowed_ips=true"
        yield from (f"allowed_ip={prefix}" for prefix in peer.allowed_ips)
