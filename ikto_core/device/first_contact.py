"""When a peer that never had a session is kicked: removed and added again, so that WireGuard starts over. Pure.

Two nodes that send their first packets within one round trip discard each other's handshake. WireGuard tries again
only after REKEY_TIMEOUT (5 s), perhaps to collide again. For a peer that is removed and added again, WireGuard starts a
handshake with the next packet. The node with the lower public key kicks first, so that they do not collide again.

Neither a peer with a session nor one to which nothing was sent is ever kicked.
"""

from collections.abc import Collection, Iterable, Mapping
from math import inf

import msgspec

from ikto_core.device.model import PeerState
from ikto_core.values.keys import PublicKey

INITIATION_BYTES = 148
"""Size of a handshake initiation (WireGuard paper, section 5.4.2): a peer that was sent less got no initiation."""

LOWER_KEY_WAIT_S = 0.4
HIGHER_KEY_WAIT_S = 0.9
"""How long an initiation may stay without an answer before the peer is kicked. A handshake takes one round trip: the
first waits suit round trips up to 0.4 s, the doubled ones longer (docs/first-contact.md has the experiment)."""

LONGEST_WAIT_S = 15.0
LOOK_EVERY_S = 0.1
WATCHED_S = 60.0
"""How long a new peer is watched after it was added or last kicked. Later ones are found by full passes."""


class Contact(msgspec.Struct, frozen=True):
    """A new peer without a session."""

    watched_until: float
    asked_at: float | None = None  # when an initiation was first seen to be unanswered; None: nothing was sent
    kicks: int = 0


class FirstContact:
    """The new peers of a device that have had no session yet. Times are those of a clock that never goes back.

    Args:
        own_key: This node's public key; None: it counts as the lower one.

    """

    def __init__(self, own_key: PublicKey | None = None) -> None:
        self._own_key = own_key
        self._contacts: dict[PublicKey, Contact] = {}
        self._look_at = inf

    @property
    def look_at(self) -> float:
        """When to look at the `peers` next; infinity: never."""
        return self._look_at if self._contacts else inf

    @property
    def peers(self) -> Collection[PublicKey]:
        """The peers to look at."""
        return self._contacts.keys()

    def added(self, peers: Iterable[PublicKey], now: float) -> None:
        """Watch peers that were just added to the device."""
        for key in peers:
            kicks = self._contacts[key].kicks if key in self._contacts else 0
            self._contacts[key] = Contact(now + WATCHED_S, kicks=kicks)
        if self._contacts:
            self._look_at = min(self._look_at, now + LOOK_EVERY_S)

    def removed(self, key: PublicKey) -> None:
        """Forget a peer that left the mesh."""
        self._contacts.pop(key, None)

    def looked(self, shown: Mapping[PublicKey, PeerState], now: float, *, rest_s: float = 0.0) -> list[PublicKey]:
        """Return the peers to kick, given what the device shows of `peers`; peers with a session are forgotten.

        Args:
            shown: The peers' states; a peer that is not in it is forgotten.
            now: The time.
            rest_s: The shortest time until the next look: reading a large device is not free.

        """
        kicked = [key for key in list(self._contacts) if self._is_due(key, shown.get(key), now)]
        self._look_at = now + max(LOOK_EVERY_S, rest_s)
        return kicked

    def seen(self, shown: Mapping[PublicKey, PeerState], now: float) -> None:
        """Watch the peers of a whole device that were sent an initiation and have no session."""
        silent = (key for key, peer in shown.items() if key not in self._contacts and _is_asked(peer))
        self.added(silent, now)

    def _is_due(self, key: PublicKey, peer: PeerState | None, now: float) -> bool:
        """Return whether to kick a peer now, and note what is known of it."""
        contact = self._contacts[key]
        asked = peer is not None and _is_asked(peer)
        if peer is None or peer.last_handshake is not None or (not asked and now >= contact.watched_until):
            del self._contacts[key]
            return False
        if not asked or contact.asked_at is None:
            self._contacts[key] = msgspec.structs.replace(contact, asked_at=now if asked else None)
            return False
        if now < contact.asked_at + self._wait_s(key, contact.kicks):
            return False
        self._contacts[key] = Contact(now + WATCHED_S, kicks=contact.kicks + 1)
        return True

    def _wait_s(self, key: PublicKey, kicks: int) -> float:
        lower = self._own_key is None or self._own_key < key
        first_s = LOWER_KEY_WAIT_S if lower else HIGHER_KEY_WAIT_S
        return float(min(LONGEST_WAIT_S, first_s * 2**kicks))


def _is_asked(peer: PeerState) -> bool:
    return peer.last_handshake is None and peer.tx_bytes >= INITIATION_BYTES
