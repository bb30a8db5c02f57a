"""Views of all peers, made in slices: a mesh of ten thousand must not block the event loop because somebody looks."""

from collections.abc import Collection, Mapping, Set

from msgspec.structs import replace

from ikto_core.admin.device_views import DeviceView
from ikto_core.admin.mesh_views import PeerView
from ikto_core.admin.showing import device_peer_view, device_view, peer_view
from ikto_core.device.model import DeviceState, PeerState
from ikto_core.device.slices import slices
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.keys import PublicKey


async def sliced_device_view(
    device: DeviceState,
    accepted: Mapping[PublicKey, MeshPeer],
    stalled: Set[PublicKey],
    unreachable: Mapping[PublicKey, str],
) -> DeviceView:
    """Return what `device_view` returns. `accepted` may change meanwhile."""
    peers = [
        device_peer_view(device.peers[key], accepted.get(key), stalled=key in stalled, unreachable=unreachable.get(key))
        async for keys in slices(sorted(device.peers))
        for key in keys
    ]
    return replace(device_view(replace(device, peers={}), {}), peers=tuple(peers))


async def sliced_peer_views(
    peers: Collection[MeshPeer], shown: Mapping[PublicKey, PeerState] | None
) -> tuple[PeerView, ...]:
    """Return what `peer_view` returns of each peer, sorted by subnet. `peers` must not change meanwhile."""
    by_subnet = [(min(peer.allowed_ips), peer.public_key, peer) async for part in slices(peers) for peer in part]
    by_subnet.sort()
    return tuple([peer_view(peer, shown) async for part in slices(by_subnet) for _, _, peer in part])
