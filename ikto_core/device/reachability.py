"""Whose device is known to show ours. Pure."""

from collections.abc import Iterable, Mapping

from ikto_core.device.model import PeerState
from ikto_core.mesh.view import MeshPeer
from ikto_core.values.keys import PublicKey


def unconfirmed(
    peers: Iterable[MeshPeer],
    now: Mapping[PublicKey, PeerState],
    before: Mapping[PublicKey, PeerState],
    since: float,
) -> list[MeshPeer]:
    """Return the peers of whom it is not known that their devices have had our key since we claimed our subnet.

    A device answers nobody whose key it does not have: a handshake is a proof, and so is whatever else it sent to us
    under an older one.

    Args:
        peers: Of whom it is asked.
        now: What our device shows.
        before: What it showed at some moment since the claim.
        since: When the claim stood, in seconds since the epoch.

    """
    return [peer for peer in peers if not _is_confirmed(now.get(peer.public_key), before.get(peer.public_key), since)]


def _is_confirmed(now: PeerState | None, before: PeerState | None, since: float) -> bool:
    if now is None:
        return False
    shaken = now.last_handshake is not None and _latest(now.last_handshake) > since
    return shaken or (before is not None and now.rx_bytes > before.rx_bytes)


def _latest(seconds: float) -> float:
    """Return when a handshake was at the latest: `wg` and the userspace socket tell whole seconds."""
    return seconds + 1 if seconds.is_integer() else seconds
