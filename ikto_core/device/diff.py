"""The difference between the desired and the observed state of a device, as a patch that writes nothing else."""

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
NO_PEERS: frozenset[PublicKey] = frozenset()


def diff(spec: DeviceSpec, state: DeviceState, *, own_peers: Set[PublicKey] = NO_PEERS) -> DevicePatch:
    """Return the smallest patch that turns `state` into `spec`; it is empty if the device is equal.

    Args:
        spec: The desired state.
        state: The observed state.
        own_peers: Peers that Ikto has put on the device. With `spec.keep_foreign_peers`, only these are removed.

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
        remove_peers=frozenset(surplus & own_peers if spec.keep_foreign_peers else surplus),
    )


def restoration(patch: DevicePatch, *, peers_too: bool) -> DevicePatch:
    """Return the part of a patch that restores what a device has lost, for a spec that may be out of date.

    It removes nothing.

    Args:
        patch: The difference between the device as it was and as it is.
        peers_too: Whether the device has lost its peers, as after a reboot. If not, its peers and settings may be newer
            than the spec, and the result only adds addresses and sets the link up.

    """
    if not peers_too:
        return DevicePatch(add_addresses=patch.add_addresses, up=patch.up)
    return msgspec.structs.replace(patch, remove_addresses=frozenset(), remove_peers=frozenset())


def has_lost_peers(spec: DeviceSpec, peers: Iterable[PeerState]) -> bool:
    """Whether no peer on the device has an allowed IP in the mesh, so that even an outdated `spec` takes none away."""
    meshes = [Prefix.of(address.packed, address.network.prefixlen) for address in spec.addresses]
    present = (prefix for peer in peers for prefix in peer.allowed_ips)
    return not any(mesh.covers(prefix) for prefix in present for mesh in meshes)


def diff_peers(wanted: Iterable[PeerSpec], present: Mapping[PublicKey, PeerState]) -> tuple[PeerPatch, ...]:
    """Return the patches that turn the `wanted` peers into what their specs say; other peers stay unchanged.

    Peers that gain an allowed IP come first. An allowed IP belongs to one peer, and adding it to a peer removes it from
    its former owner: so a prefix that moves always has an owner (unless its former owner gains a prefix too). The
    order does not change the result.
    """
    patches = [patch for spec in wanted if (patch := diff_peer(spec, present.get(spec.public_key)))]
    patches.sort(key=lambda patch: not gains(patch, present.get(patch.public_key)))
    return tuple(patches)


def diff_peer(spec: PeerSpec, state: PeerState | None) -> PeerPatch | None:
    """Return the patch that turns one peer into what its spec says; None: it does already."""
    if state is None:
        return PeerPatch(
            public_key=spec.public_key,
            create=True,
            allowed_ips=spec.allowed_ips,
            endpoint=spec.endpoint,
            persistent_keepalive=spec.persistent_keepalive or None,
            preshared_key=spec.preshared_key,
        )
    allowed_ips = _changed(spec.allowed_ips, state.allowed_ips)
    endpoint = _changed(spec.endpoint, state.endpoint)
    keepalive_s = _changed(spec.persistent_keepalive, state.persistent_keepalive)
    preshared_key = _changed(spec.preshared_key or NO_PRESHARED_KEY, state.preshared_key or NO_PRESHARED_KEY)
    if allowed_ips is None and endpoint is None and keepalive_s is None and preshared_key is None:
        return None
    return PeerPatch(
        public_key=spec.public_key,
        allowed_ips=allowed_ips,
        endpoint=endpoint,
        persistent_keepalive=keepalive_s,
        preshared_key=preshared_key,
    )


def gains(patch: PeerPatch, state: PeerState | None) -> bool:
    """Whether the patch gives the peer a prefix that it does not have."""
    return bool(patch.allowed_ips and not (state and patch.allowed_ips <= state.allowed_ips))


def _changed(wanted: T, present: T) -> T | None:
    return None if wanted == present else wanted


def patched(state: PeerState | None, patch: PeerPatch) -> PeerState:
    """Return the state of the peer after `patch` is written; a `state` of None stands for an absent peer."""
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


def patched_device(state: DeviceState, patch: DevicePatch) -> DeviceState:
    """Return the state of the device after `patch` is written, as clauses C4, C6 and C7 of `Backend` say.

    As in the kernel, a private key is clamped, and one of zeros removes the key; host bits of allowed IPs are cleared.
    """
    key = state.private_key if patch.private_key is None else patch.private_key.clamped()
    removes_key = patch.private_key is not None and not any(patch.private_key)
    return DeviceState(
        private_key=None if removes_key else key,
        listen_port=state.listen_port if patch.listen_port is None else patch.listen_port,
        fwmark=state.fwmark if patch.fwmark is None else patch.fwmark,
        mtu=state.mtu if patch.mtu is None else patch.mtu,
        up=state.up if patch.up is None else patch.up,
        addresses=(state.addresses | patch.add_addresses) - patch.remove_addresses,
        peers=_patched_peers(state.peers, patch),
    )


def _patched_peers(before: Mapping[PublicKey, PeerState], patch: DevicePatch) -> Mapping[PublicKey, PeerState]:
    peers = dict(before)
    owners = {prefix: key for key, peer in peers.items() for prefix in peer.allowed_ips} if patch.peers else {}
    for change in patch.peers:
        key = change.public_key
        if not (change.create or key in peers):
            continue
        peer = patched(peers.get(key), change)
        prefixes = frozenset(Prefix.of(*prefix) for prefix in peer.allowed_ips)
        for prefix in prefixes:
            owner = owners.get(prefix, key)
            if owner != key:
                peers[owner] = msgspec.structs.replace(peers[owner], allowed_ips=peers[owner].allowed_ips - {prefix})
            owners[prefix] = key
        peers[key] = msgspec.structs.replace(peer, allowed_ips=prefixes)
    return {key: peer for key, peer in peers.items() if key not in patch.remove_peers}


def drift(patch: DevicePatch, expected: Set[PublicKey]) -> DevicePatch:
    """Return the part of a patch that repairs drift: without `expected` peers and changes of an endpoint alone."""
    changes = (p for p in patch.peers if p.public_key not in expected and not _is_endpoint_only(p))
    return msgspec.structs.replace(patch, peers=tuple(changes), remove_peers=patch.remove_peers - expected)


def _is_endpoint_only(patch: PeerPatch) -> bool:
    return patch == PeerPatch(public_key=patch.public_key, endpoint=patch.endpoint)


def summary(patch: DevicePatch) -> dict[str, int | bool]:
    """Return counts of what a patch writes, for the log."""
    return {
        "peers": len(patch.peers),
        "removals": len(patch.remove_peers),
        "device": patch != DevicePatch(peers=patch.peers, remove_peers=patch.remove_peers),
    }
