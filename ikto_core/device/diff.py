"""What to write so that a device as it is becomes the device as it should be. Only differences are written."""

from collections.abc import Iterable, Mapping, Set
from typing import TypeVar

import msgspec

from ikto_core.device.model import (
    NO_PRESHARED_KEY,
    DevicePatch,
    DeviceSpec,
    DeviceState,
    PeerPatch,
    PeerSpec,
    PeerState,
)
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

T = TypeVar("T")
NOBODY: frozenset[PublicKey] = frozenset()


def diff(spec: DeviceSpec, state: DeviceState, *, ours: Set[PublicKey] = NOBODY) -> DevicePatch:
    """Return the smallest patch that turns `state` into `spec`; an equal device gives an empty patch.

    Args:
        spec: The device as it should be.
        state: The device as its backend read it.
        ours: Peers that we put on the device at some time. With `spec.keep_foreign_peers`, only they are removed.

    """
    surplus = state.peers.keys() - spec.peers.keys()
    return DevicePatch(
        private_key=_changed(spec.private_key, state.private_key),
        listen_port=_changed(spec.listen_port, state.listen_port),
        fwmark=_changed(spec.fwmark, state.fwmark),
        mtu=_changed(spec.mtu, state.mtu),
        add_addresses=spec.addresses - state.addresses,
        remove_addresses=state.addresses - spec.addresses,
        up=_changed(True, state.up),
        peers=diff_peers(spec.peers.values(), state.peers),
        remove_peers=frozenset(surplus & ours if spec.keep_foreign_peers else surplus),
    )


def restoration(spec: DeviceSpec, state: DeviceState, *, peers_too: bool) -> DevicePatch:
    """Return what gives a device back what it has lost, when `spec` may be out of date; nothing is ever taken away.

    Args:
        spec: The device as it was.
        state: The device as its backend read it.
        peers_too: Whether it has lost its peers, as after a reboot. Else they and the device's own members may be newer
            than `spec`, and only an address or the link comes back.

    """
    patch = diff(spec, state)
    if not peers_too:
        return DevicePatch(add_addresses=patch.add_addresses, up=patch.up)
    return msgspec.structs.replace(patch, remove_addresses=frozenset(), remove_peers=frozenset())


def has_lost_peers(spec: DeviceSpec, state: DeviceState) -> bool:
    """Whether no peer on the device has a part of the mesh: nobody can lose it to peers of `spec`, however old."""
    meshes = [Prefix.of(address.packed, address.network.prefixlen) for address in spec.addresses]
    held = (prefix for peer in state.peers.values() for prefix in peer.allowed_ips)
    return not any(mesh.covers(prefix) for prefix in held for mesh in meshes)


def diff_peers(wanted: Iterable[PeerSpec], present: Mapping[PublicKey, PeerState]) -> tuple[PeerPatch, ...]:
    """Return what to write so that the `wanted` peers are as they should be; other peers are left alone.

    An allowed IP belongs to one peer and adding it takes it from its old owner, so peers that gain one come first: a
    prefix that moves is not without an owner meanwhile (unless its old owner gains one too). In whatever order they
    are written, the result is the same.
    """
    patches = [patch for spec in wanted if (patch := _diff_peer(spec, present.get(spec.public_key)))]
    patches.sort(key=lambda patch: not _gains(patch, present.get(patch.public_key)))
    return tuple(patches)


def _diff_peer(spec: PeerSpec, state: PeerState | None) -> PeerPatch | None:
    if state is None:
        return PeerPatch(
            public_key=spec.public_key,
            create=True,
            allowed_ips=spec.allowed_ips,
            endpoint=spec.endpoint,
            persistent_keepalive=spec.persistent_keepalive or None,
            preshared_key=spec.preshared_key,
        )
    patch = PeerPatch(
        public_key=spec.public_key,
        allowed_ips=_changed(spec.allowed_ips, state.allowed_ips),
        endpoint=_changed(spec.endpoint, state.endpoint),
        persistent_keepalive=_changed(spec.persistent_keepalive, state.persistent_keepalive),
        preshared_key=_changed(spec.preshared_key or NO_PRESHARED_KEY, state.preshared_key or NO_PRESHARED_KEY),
    )
    return None if patch == PeerPatch(public_key=spec.public_key) else patch


def _gains(patch: PeerPatch, state: PeerState | None) -> bool:
    """Whether the patch brings the peer a prefix that it does not have."""
    return bool(patch.allowed_ips and not (state and patch.allowed_ips <= state.allowed_ips))


def _changed(wanted: T, present: T) -> T | None:
    return None if wanted == present else wanted


def patched(state: PeerState | None, patch: PeerPatch) -> PeerState:
    """Return the peer as the device shows it once `patch` is written."""
    before = state or PeerState(public_key=patch.public_key)
    preshared = before.preshared_key if patch.preshared_key is None else patch.preshared_key
    return PeerState(
        public_key=patch.public_key,
        allowed_ips=before.allowed_ips if patch.allowed_ips is None else patch.allowed_ips,
        endpoint=patch.endpoint or before.endpoint,
        persistent_keepalive=(
            before.persistent_keepalive if patch.persistent_keepalive is None else patch.persistent_keepalive
        ),
        preshared_key=None if preshared == NO_PRESHARED_KEY else preshared,
        last_handshake=before.last_handshake,
        rx_bytes=before.rx_bytes,
        tx_bytes=before.tx_bytes,
    )


def unasked(patch: DevicePatch, held: Set[PublicKey]) -> DevicePatch:
    """Return what of a patch another hand has made necessary: not a held removal, nor an endpoint that had to wait."""
    changes = (p for p in patch.peers if p != PeerPatch(public_key=p.public_key, endpoint=p.endpoint))
    return msgspec.structs.replace(patch, peers=tuple(changes), remove_peers=patch.remove_peers - held)


def summary(patch: DevicePatch) -> dict[str, int | bool]:
    """Return in a few numbers what a patch writes, for the log."""
    return {
        "peers": len(patch.peers),
        "removals": len(patch.remove_peers),
        "device": patch != DevicePatch(peers=patch.peers, remove_peers=patch.remove_peers),
    }
