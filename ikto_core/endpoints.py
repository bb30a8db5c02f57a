"""Which endpoint to write for a peer, if any. WireGuard learns where a peer is; undoing that cuts the tunnel."""

from ikto_core.addressing import Endpoint
from ikto_core.model import PeerState

HANDSHAKE_RECENT_S = 180.0
"""A session this young is alive: REJECT_AFTER_TIME of the WireGuard paper, section 6.1."""


def endpoint_to_write(
    candidates: tuple[Endpoint, ...],
    *,
    tried: tuple[Endpoint, ...] | None,
    observed: PeerState | None,
    now: float,
) -> Endpoint | None:
    """Return the endpoint to write for a peer; None leaves alone what the device has or learned by roaming.

    Args:
        candidates: What the peer's records say, best first.
        tried: The candidates when we last wrote, or found, an endpoint of theirs; None if we don't know.
        observed: The peer as the device shows it; None if it is not there yet.
        now: Seconds since the epoch.

    """
    if observed is None or observed.endpoint is None:
        return candidates[0]
    if candidates == tried or _alive(observed, now):
        return None
    if tried is None and observed.endpoint in candidates:
        return None
    return candidates[0]


def _alive(observed: PeerState, now: float) -> bool:
    return observed.last_handshake is not None and now - observed.last_handshake < HANDSHAKE_RECENT_S
