"""Which peers to send to after a pass, so that WireGuard makes sessions with them at once. Takes times, reads no clock.

Times are in seconds since the epoch.
"""

from collections.abc import Iterable, Mapping, Set

from ikto_core.device.model import PeerState
from ikto_core.device.sessions import SessionMemory
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


class Contacts:
    """The peers to be contacted, and why: they had a session that the device does not have any more."""

    def __init__(self) -> None:
        self.sessions = SessionMemory()
        self._due: set[PublicKey] = set()
        self._was_lost = False  # the device had none of the peers, and they were not all written since

    def add(self, peers: Iterable[PublicKey]) -> None:
        """Have these peers contacted."""
        self._due.update(peers)

    def take(self, *, unless: Set[PublicKey]) -> Set[PublicKey]:
        """Return the peers to send to, once; `unless`: peers that are not contacted."""
        due, self._due = self._due, set()
        return due - unless

    def read_device(self, shown: Set[PublicKey], wanted: Set[PublicKey]) -> None:
        """Note which peers a whole device has: without any of the wanted ones, it was lost."""
        self._was_lost |= shown.isdisjoint(wanted)

    def wrote_device(self, now: float) -> None:
        """Contact the peers that had a session before the device was lost, now that they are on the device again."""
        if self._was_lost:
            self.add(self.sessions.recent(now))
            self._was_lost = False

    def replaced(
        self,
        removed: Set[PublicKey],
        holders: Mapping[Prefix, PublicKey],
        shown: Mapping[PublicKey, PeerState],
        now: float,
    ) -> None:
        """Contact the new keys of peers that had a session with the old key, which ends with it.

        Args:
            removed: The peers that are about to be removed.
            holders: The peers that are to have the prefixes.
            shown: The peers as they are.
            now: The time.

        """
        for key in self.sessions.recent_of(removed, now):
            self.add(holders[prefix] for prefix in shown[key].allowed_ips if prefix in holders)
