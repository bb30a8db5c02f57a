"""Peers that are about to have another key: which of the two they are reached by.

A peer's record tells of its next key some time before it has it. Who switches tells the bucket at once; but who can't
see the bucket just then sees handshakes by the next key, and nobody else could make them.
"""

from collections.abc import Mapping, Set

from ikto_core.device.endpoint_policy import Choice, Memory
from ikto_core.device.model import PeerState
from ikto_core.mesh.view import MeshPeer
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


class KeySuccession:
    """Remembers from look to look which key follows which, and which next keys are in use already."""

    def __init__(self) -> None:
        self.turned = False  # a look found a peer with the other of its keys
        self._followers: dict[PublicKey, PublicKey] = {}  # by the key that the peer has, or had, before
        self._in_use: set[PublicKey] = set()

    def look(self, peer: MeshPeer, before: PublicKey, shown: Mapping[PublicKey, PeerState]) -> Choice:
        """See whether the next key of a peer, that has the key `before` by the bucket, is in use; choose its endpoint.

        It is where the present one is, also if that has roamed.
        """
        key, present = peer.public_key, shown.get(before)
        self._followers[before] = key
        in_use = _heard(shown.get(key)) > _heard(present)
        self.turned |= in_use is not (key in self._in_use)
        (self._in_use.add if in_use else self._in_use.discard)(key)
        endpoint = present.endpoint if present and present.endpoint else peer.endpoints[0]
        observed = shown.get(key)
        known = observed is not None and observed.endpoint == endpoint
        return Choice(None if known or in_use else endpoint, Memory(candidates=peer.endpoints))

    def forget_others(self, peers: Mapping[PublicKey, MeshPeer]) -> None:
        """Forget all but these peers, and that keys are next ones that are so no longer."""
        self._followers = {before: key for before, key in self._followers.items() if key in peers}
        self._in_use = {key for key in self._in_use if key in peers and peers[key].predecessor}

    def allowed_ips(self, peer: MeshPeer) -> frozenset[Prefix]:
        """Return what a peer is to have under this key of its."""
        if peer.predecessor:
            return _subnets(peer) if peer.public_key in self._in_use else frozenset()
        moved = {a.subnet for a in peer.records if a.record.next_public_key in self._in_use}
        return peer.allowed_ips - moved if moved else peer.allowed_ips

    def replaced(self, gone: Set[PublicKey], peers: Mapping[PublicKey, MeshPeer]) -> frozenset[PublicKey]:
        """Return which of these keys went because their peers have their next ones: nobody is lost with them."""
        return frozenset(key for key in gone if _present(peers.get(self._followers.get(key, key))))


def _present(peer: MeshPeer | None) -> bool:
    return peer is not None and peer.predecessor is None


def _subnets(peer: MeshPeer) -> frozenset[Prefix]:
    return frozenset(accepted.subnet for accepted in peer.records)


def _heard(peer: PeerState | None) -> float:
    return peer.last_handshake or 0.0 if peer else 0.0
