"""Which peers are known to have this node's key on their devices. Pure."""

from collections.abc import Iterable, Mapping

from ikto_core.device.model import PeerState
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.keys import PublicKey


def unconfirmed(
    peers: Iterable[MeshPeer],
    now: Mapping[PublicKey, PeerState],
    before: Mapping[PublicKey, PeerState],
    since: float,
) -> list[MeshPeer]:
    """Return the peers that are not known to have had this node's key on their devices since it claimed its subnet.

    A device answers only peers whose key it has. So a handshake since the claim confirms the peer, and so does any data
    received from it since, in the session of an older handshake.

    Args:
        peers: The peers to check.
        now: The peers that this node's device shows now.
        before: The peers that it showed at some time since the claim.
        since: When the subnet was claimed, in seconds since the epoch.

    """
    return [peer for peer in peers if not _is_confirmed(now.get(peer.public_key), before.get(peer.public_key), since)]


def _is_confirmed(now: PeerState | None, before: PeerState | None, since: float) -> bool:
    if now is None:
        return False
    recent_handshake = now.last_handshake is not None and _latest(now.last_handshake) > since
    return recent_handshake or (before is not None and now.rx_bytes > before.rx_bytes)


def _latest(seconds: float) -> float:
    """Return the latest time that a handshake may have had: `wg` and the userspace socket report whole seconds."""
    return seconds + 1 if seconds.is_integer() else seconds
