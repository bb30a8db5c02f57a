"""Convert internal values to the views of the admin interface. Pure."""

from collections.abc import Iterable, Mapping, Set

import msgspec

from ikto_core.admin.device_views import DevicePeerView, DeviceView
from ikto_core.admin.mesh_views import PeerView, QuarantinedView, RecordView, UnreachableView
from ikto_core.admin.views import LeaseView, ObserverView
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.mesh.records import PeerRecord, subnet_of_key
from ikto_core.mesh.view import QuarantinedRecord
from ikto_core.observers.runner import ObserverRun
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.times import utc

NOBODY: frozenset[PublicKey] = frozenset()


def record_view(record: PeerRecord) -> RecordView:
    """Return a record for `GET /v1/info`."""
    return RecordView(
        name=record.name,
        public_key=record.public_key.text,
        advertise_address=record.advertise_address,
        allowed_ip=record.allowed_ip,
        wg_port=record.wg_port,
        endpoints=tuple(str(endpoint) for endpoint in record.endpoints),
    )


def quarantined_view(quarantined: QuarantinedRecord) -> QuarantinedView:
    """Return a record that is not accepted, with the reason."""
    return QuarantinedView(
        key=quarantined.key,
        allowed_ip=subnet_of_key(quarantined.key),
        revision=quarantined.revision,
        reason=quarantined.reason,
    )


def subnets_of_keys(keys: Iterable[str]) -> tuple[str, ...]:
    """Return the subnets that KV keys encode, sorted by key; a key that encodes none stands for itself."""
    return tuple(subnet_of_key(key) or key for key in sorted(keys))


def device_view(
    device: DeviceState,
    accepted: Mapping[PublicKey, MeshPeer],
    stalled: Set[PublicKey] = NOBODY,
    unreachable: Mapping[PublicKey, str] | None = None,
) -> DeviceView:
    """Return a device; its peers get their names from `accepted`. `unreachable` has the reason of each such peer."""
    addresses = sorted(device.addresses, key=lambda interface: (interface.version, int(interface.ip)))
    return DeviceView(
        listen_port=device.listen_port,
        mtu=device.mtu,
        up=device.up,
        addresses=tuple(str(interface) for interface in addresses),
        fwmark=device.fwmark,
        peers=tuple(
            device_peer_view(
                device.peers[key], accepted.get(key), stalled=key in stalled, unreachable=(unreachable or {}).get(key)
            )
            for key in sorted(device.peers)
        ),
    )


def device_peer_view(
    peer: PeerState, accepted: MeshPeer | None, *, stalled: bool = False, unreachable: str | None = None
) -> DevicePeerView:
    """Return a peer on the device. `accepted` is None if the peer is not in the mesh."""
    return DevicePeerView(
        public_key=peer.public_key.text,
        name=accepted.name if accepted else None,
        endpoint=str(peer.endpoint) if peer.endpoint else None,
        allowed_ips=_ascending(peer.allowed_ips),
        last_handshake=utc(peer.last_handshake),
        rx_bytes=peer.rx_bytes,
        tx_bytes=peer.tx_bytes,
        unreachable=unreachable,
        stalled=stalled,
    )


def peer_view(peer: MeshPeer, on_device: Mapping[PublicKey, PeerState] | None) -> PeerView:
    """Return a peer with its state on the device. `on_device` is None if the device can't be read."""
    state = (on_device or {}).get(peer.public_key)
    return PeerView(
        public_key=peer.public_key.text,
        name=peer.name,
        allowed_ips=_ascending(peer.allowed_ips),
        endpoints=tuple(str(endpoint) for endpoint in peer.endpoints),
        on_device=None if on_device is None else state is not None,
        endpoint=str(state.endpoint) if state and state.endpoint else None,
        last_handshake=utc(state.last_handshake) if state else None,
        proved=is_proved(peer),
        draining=peer.draining,
    )


def is_proved(peer: MeshPeer) -> bool:
    """Return whether the owner of a peer's key has signed all its records."""
    return all(accepted.proved for accepted in peer.records)


def unreachable_views(
    reasons: Mapping[PublicKey, str], accepted: Mapping[PublicKey, MeshPeer], device: DeviceState | None
) -> tuple[UnreachableView, ...]:
    """Return the accepted peers that no endpoint is known of, with the reasons.

    A peer that has sent something since the last check has an endpoint on the device, and is not unreachable.
    """
    learned = {key for key, peer in device.peers.items() if peer.endpoint} if device and reasons else set()
    return tuple(
        UnreachableView(public_key=key.text, name=accepted[key].name, reason=reasons[key])
        for key in sorted(reasons.keys() & accepted.keys() - learned)
    )


def lease_view(leases: LeaseRenewer) -> LeaseView | None:
    """Return the state of this node's lease; None if it has none."""
    if not leases.lease_s:
        return None
    return LeaseView(
        lease_s=leases.lease_s, renewed_at=utc(leases.renewed_at), failure=leases.failure, refusal=leases.refusal
    )


def observer_views(observers: Iterable[ObserverRun]) -> tuple[ObserverView, ...]:
    """Return the state of each observer."""
    return tuple(
        ObserverView(
            name=observer.name,
            failure=observer.failure or None,
            hint=observer.hint or None,
            waiting=observer.waiting,
            counters=msgspec.structs.replace(observer.stats),
        )
        for observer in observers
    )


def _ascending(subnets: Iterable[Prefix]) -> tuple[str, ...]:
    """Return subnets as text in ascending order, IPv4 first."""
    return tuple(str(subnet) for subnet in sorted(subnets, key=lambda subnet: (subnet.bits, subnet)))
