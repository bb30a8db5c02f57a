"""Rebuild the current mesh from events, for observers that need state rather than changes. Pure."""

from collections.abc import Iterable

from ikto_core.observers.contract import (
    MeshEvent,
    MeshReady,
    PeerAccepted,
    PeerChanged,
    PeerFacts,
    PeerRemoved,
    QuarantineEnded,
    RecordQuarantined,
    Resync,
)


class Replay:
    """The mesh as the events so far describe it."""

    def __init__(self) -> None:
        self.peers: dict[str, PeerFacts] = {}  # by public key
        self.quarantined: dict[str, RecordQuarantined] = {}  # by key in the bucket
        self.ready: MeshReady | None = None  # None: the device does not show the mesh yet

    def see(self, events: Iterable[MeshEvent]) -> None:
        """Apply events, in the order in which they were delivered."""
        for event in events:
            self._apply(event)

    def _apply(self, event: MeshEvent) -> None:
        match event:
            case Resync():
                self.peers, self.quarantined, self.ready = {}, {}, None
            case PeerAccepted(peer=peer) | PeerChanged(peer=peer):
                self.peers[peer.public_key] = peer
            case PeerRemoved(peer=peer):
                self.peers.pop(peer.public_key, None)
            case RecordQuarantined(key=key):
                self.quarantined[key] = event
            case QuarantineEnded(key=key):
                self.quarantined.pop(key, None)
            case MeshReady():
                self.ready = event
