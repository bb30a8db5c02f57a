"""How long new peers take to their first session. Pure."""

from collections.abc import Iterable, Mapping

from ikto_core.device.model import PeerState
from ikto_core.values.histogram import Histogram
from ikto_core.values.keys import PublicKey

BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

MEASURED_S = 60.0
"""A peer that has no session after so long was not sent anything; its first session says nothing about the network."""


class ContactTimes:
    """Peers that were added to the device and have had no session. Times are in seconds since the epoch."""

    def __init__(self) -> None:
        self.taken = Histogram(BOUNDS_S)
        self._added: dict[PublicKey, float] = {}

    def added(self, peers: Iterable[PublicKey], now: float) -> None:
        """Note peers that were just added to the device."""
        self._added |= dict.fromkeys(peers, now)

    def saw(self, peers: Mapping[PublicKey, PeerState]) -> None:
        """Take peers as they were just read."""
        for key in self._added.keys() & peers.keys():
            if (handshake := peers[key].last_handshake) is not None:
                self.taken.observe(handshake - self._added.pop(key))

    def forget_old(self, now: float) -> None:
        """Forget those that have waited for long."""
        if any(at < now - MEASURED_S for at in self._added.values()):
            self._added = {key: at for key, at in self._added.items() if at >= now - MEASURED_S}
