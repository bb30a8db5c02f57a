"""Peers that have announced their next key: which of their two keys gets the allowed IPs.

A record announces the next key of a peer some time before the peer switches to it. A peer that switches writes this to
the bucket at once, and the others then put the key on their devices in place of the old one. A node that can't read the
bucket at that time has put the next key on its device beforehand. A handshake with that key shows that the peer has
switched, because only the peer can make it.
"""

from collections.abc import Callable, Mapping

from ikto_core.device.endpoint_policy import EndpointChoice, EndpointHistory, first_routable
from ikto_core.device.model import PeerState
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey


class KeySuccession:
    """Remembers between checks which next keys are in use already."""

    def __init__(self) -> None:
        self.changed = False  # the last checks found a peer that had switched from one of its keys to the other
        self._in_use: set[PublicKey] = set()

    def copy(self) -> "KeySuccession":
        """Return one that remembers the same, and can be asked without consequences for this one."""
        twin = KeySuccession()
        twin._in_use = set(self._in_use)
        return twin

    def choose(
        self,
        peer: MeshPeer,
        predecessor: PublicKey,
        shown: Mapping[PublicKey, PeerState],
        usable: Callable[[tuple[Endpoint, ...]], tuple[Endpoint, ...]],
        has_route: Callable[[Endpoint], bool],
    ) -> EndpointChoice:
        """Check whether the next key of a peer is in use, and choose its endpoint: that of the present key.

        Args:
            peer: The peer with its next key.
            predecessor: Its present key, as the bucket says.
            shown: The peers that the device shows.
            usable: Returns those of some endpoints that may be written.
            has_route: Whether this host has a route to an endpoint.

        """
        key, present = peer.public_key, shown.get(predecessor)
        in_use = _last_handshake(shown.get(key)) > _last_handshake(present)
        self.changed |= in_use is not (key in self._in_use)
        (self._in_use.add if in_use else self._in_use.discard)(key)
        roamed = (present.endpoint,) if present and present.endpoint else ()
        endpoint = first_routable(usable((*roamed, *peer.endpoints)), has_route)
        observed = shown.get(key)
        unchanged = observed is not None and observed.endpoint == endpoint
        history = EndpointHistory(candidates=usable(peer.endpoints))
        return EndpointChoice(None if unchanged or in_use else endpoint, history)

    def keep_only(self, peers: Mapping[PublicKey, MeshPeer]) -> None:
        """Forget the next keys of all other peers, and those that have become present keys."""
        self._in_use = {key for key in self._in_use if key in peers and peers[key].predecessor}

    def allowed_ips(self, peer: MeshPeer) -> frozenset[Prefix]:
        """Return the allowed IPs of a peer under this one of its keys."""
        if peer.predecessor:
            return _subnets(peer) if peer.public_key in self._in_use else frozenset()
        moved = {a.subnet for a in peer.records if a.record.next_public_key in self._in_use}
        return peer.allowed_ips - moved if moved else peer.allowed_ips


def _subnets(peer: MeshPeer) -> frozenset[Prefix]:
    return frozenset(accepted.subnet for accepted in peer.records)


def _last_handshake(peer: PeerState | None) -> float:
    return peer.last_handshake or 0.0 if peer else 0.0
