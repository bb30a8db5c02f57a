"""Which peers had a session lately, so that they can be contacted at once after the device is created again. Pure."""

from collections.abc import Iterable, Mapping

from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S
from ikto_core.device.model import PeerState
from ikto_core.values.keys import PublicKey


class SessionMemory:
    """The last handshakes that reads of a device have shown, in seconds since the epoch. It outlives the device."""

    def __init__(self) -> None:
        self._handshakes: dict[PublicKey, float] = {}

    def saw(self, peers: Mapping[PublicKey, PeerState]) -> None:
        """Note the handshakes of peers as they were just read."""
        for key, peer in peers.items():
            if peer.last_handshake is not None:
                self._handshakes[key] = peer.last_handshake

    def restore(self, keys: Iterable[PublicKey], now: float) -> None:
        """Note that these peers had a session when an earlier run ended."""
        self._handshakes |= dict.fromkeys(keys, now)

    def recent(self, now: float) -> frozenset[PublicKey]:
        """Return the peers whose last session may still be alive, and forget the others."""
        self._handshakes = {key: at for key, at in self._handshakes.items() if at > now - HANDSHAKE_RECENT_S}
        return frozenset(self._handshakes)

    def recent_of(self, keys: Iterable[PublicKey], now: float) -> frozenset[PublicKey]:
        """Return those of these peers whose last session may still be alive."""
        return frozenset(key for key in keys if self._handshakes.get(key, 0.0) > now - HANDSHAKE_RECENT_S)
