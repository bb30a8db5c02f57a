"""When a peer that never had a session is kicked: removed and added again, so that WireGuard starts over. Pure.

Two nodes that send their first packets within one round trip discard each other's handshake. WireGuard tries again
only after REKEY_TIMEOUT (5 s), perhaps to collide again. For a peer that is removed and added again, WireGuard starts a
handshake with the next packet. The node with the lower public key kicks first, so that they do not collide again: at
once if it sees the other's initiation arrive after its own was sent. A second initiation of the other side means that
it has started over, so its handshake is given time.

Neither a peer with a session nor one to which nothing was sent is ever kicked.
"""

from collections.abc import Iterable, Mapping
from math import floor, inf, log2

import msgspec

from ikto_core.device.endpoint_policy import INITIATION_BYTES
from ikto_core.device.model import PeerState
from ikto_core.values.keys import PublicKey

LOWER_KEY_WAIT_S = 0.4
HIGHER_KEY_WAIT_S = 0.9
"""How long an initiation may stay without an answer before the peer is kicked. A handshake takes one round trip: the
first waits suit round trips up to 0.4 s, the doubled ones longer (docs/first-contact.md has the experiment)."""

COLLISION_WAIT_S = 0.25
"""The same for the node with the lower key, if the other side's initiation had arrived when its own was first seen:
most likely they have collided, but the other side may also be about to confirm a session."""

STARTED_OVER_WAIT_S = 0.4
"""How long a handshake is given that the other side has started over."""

LONGEST_WAIT_S = 60.0
LOOK_EVERY_S = 0.1
LONGEST_LOOK_S = 2.0
"""The pause between looks at a peer to which nothing was sent yet: a tenth of the time since it was added."""

REST_FACTOR = 20.0
"""The pause after a look, as a multiple of the time that it took: looks take a few percent of a processor at most."""

NEW_S = 3.0
QUICK_LOOK_S = 0.05
"""While a peer was added or kicked within NEW_S, the pause after a look that took no longer than QUICK_LOOK_S is
LOOK_EVERY_S at most: what is seen late is kicked late."""

WATCHED_S = 60.0
"""How long such a peer is watched after it was added or last kicked. Later ones are found by full passes."""

MAX_PROBES = 3
"""After so many kicks the agent sends nothing of its own any more: a peer that is down must not be asked for ever."""


class Contact(msgspec.Struct, frozen=True, gc=False):
    """A new peer without a session."""

    since: float  # when it was added or last kicked
    look_at: float  # infinity: when a full pass finds that something was sent to it
    unanswered_since: float | None = None  # when an initiation was first seen to be unanswered; None: nothing was sent
    kick_at: float = inf  # when it is kicked if it stays unanswered
    kicks: int = 0
    wait_s: float = 0.0  # before the next kick; 0: not kicked yet
    rx_bytes: int = 0  # received when the unanswered initiation was first seen, or the last one of the peer


class FirstContact:
    """The new peers of a device that have had no session yet. Times are those of a clock that never goes back.

    Args:
        own_key: This node's public key; None: it counts as the lower one.

    """

    def __init__(self, own_key: PublicKey | None = None) -> None:
        self._own_key = own_key
        self._contacts: dict[PublicKey, Contact] = {}
        self._look_at = inf
        self._rest_until = 0.0
        self._kick_at = inf  # when the first peer may have to be kicked

    @property
    def look_at(self) -> float:
        """When to look at `due` peers next; infinity: never. A kick does not wait for the rest after a look.

        If the kick of the lower key were late, it would coincide with that of the higher one.
        """
        return max(self._look_at, min(self._rest_until, self._kick_at))

    def due(self, now: float) -> frozenset[PublicKey]:
        """Return the peers to look at now."""
        if now < self.look_at:
            return frozenset()
        return frozenset(key for key, contact in self._contacts.items() if contact.look_at <= now)

    def added(self, peers: Iterable[PublicKey], now: float) -> None:
        """Watch peers that were just added to the device."""
        for key in peers:
            self._contacts[key] = Contact(now, now + LOOK_EVERY_S)
            self._look_at = min(self._look_at, now + LOOK_EVERY_S)

    def removed(self, key: PublicKey) -> None:
        """Forget a peer that left the mesh."""
        self._contacts.pop(key, None)

    def seen(self, shown: Mapping[PublicKey, PeerState], now: float) -> None:
        """Watch also the peers, of a whole device, to which something was sent in vain, those kicked before too."""
        for key, peer in shown.items():
            contact = self._contacts.get(key)
            if is_unanswered(peer) and (contact is None or contact.look_at == inf):
                self._watch(key, contact or Contact(now, now), now)
            elif contact and peer.last_handshake is not None:
                del self._contacts[key]

    def looked(self, due: Iterable[PublicKey], shown: Mapping[PublicKey, PeerState], now: float) -> list[PublicKey]:
        """Return the peers to kick, of those that were `due`; peers with a session are forgotten. Call `rest` next.

        Args:
            due: Peers that were looked at; they may be given in parts.
            shown: Their states; a peer that is not in it is forgotten.
            now: The time.

        """
        return [key for key in due if key in self._contacts and self._take(key, shown.get(key), now)]

    def rest(self, now: float, *, took_s: float = 0.0) -> None:
        """End a look at all peers that were due.

        `took_s`: how long it took to read them, because a look at a large device is not free.
        """
        look_at, kick_at, newest = inf, inf, -inf
        for contact in self._contacts.values():
            look_at = min(look_at, contact.look_at)
            kick_at = min(kick_at, contact.kick_at)
            newest = max(newest, contact.since)
        self._look_at, self._kick_at = look_at, kick_at
        is_quick = took_s <= QUICK_LOOK_S and now < newest + NEW_S
        self._rest_until = now + (min(REST_FACTOR * took_s, LOOK_EVERY_S) if is_quick else REST_FACTOR * took_s)

    def kicks_of(self, key: PublicKey) -> int:
        """Return how often a peer was kicked; 0 if it is not watched."""
        return self._contacts[key].kicks if key in self._contacts else 0

    def must_probe(self, key: PublicKey) -> bool:
        """Return whether the agent is to send to a kicked peer, so that a handshake starts at once."""
        return key in self._contacts and self._contacts[key].kicks <= MAX_PROBES

    def _watch(self, key: PublicKey, contact: Contact, now: float) -> None:
        self._contacts[key] = msgspec.structs.replace(contact, since=now, look_at=now + LOOK_EVERY_S)
        self._look_at = min(self._look_at, now + LOOK_EVERY_S)

    def _take(self, key: PublicKey, peer: PeerState | None, now: float) -> bool:
        """Note what was seen of a peer; return whether to kick it now."""
        contact = self._contacts[key]
        wait_s = contact.wait_s or self._first_wait_s(key)
        if peer is None or peer.last_handshake is not None:
            del self._contacts[key]
        elif not is_unanswered(peer):
            self._rest(key, contact, now)
        elif contact.unanswered_since is None:
            if self._is_first(key) and not contact.kicks and peer.rx_bytes >= INITIATION_BYTES:
                wait_s = COLLISION_WAIT_S
            asked = msgspec.structs.replace(contact, unanswered_since=now, kick_at=now + wait_s, rx_bytes=peer.rx_bytes)
            self._look_again(key, asked, now)
        elif _has_started_over(peer, contact):
            kick_at = now + STARTED_OVER_WAIT_S
            self._contacts[key] = msgspec.structs.replace(
                contact, look_at=kick_at, kick_at=kick_at, rx_bytes=peer.rx_bytes
            )
        elif now < contact.kick_at and not (self._is_first(key) and _has_collided(peer, contact, now)):
            self._look_again(key, contact, now)
        else:
            longer_s = min(LONGEST_WAIT_S, 2 * wait_s)
            self._contacts[key] = Contact(now, now + LOOK_EVERY_S, kicks=contact.kicks + 1, wait_s=longer_s)
            return True
        return False

    def _look_again(self, key: PublicKey, contact: Contact, now: float) -> None:
        """Look at an unanswered peer until it is kicked, if a collision can be ended sooner."""
        look_at = min(now + LOOK_EVERY_S, contact.kick_at) if self._is_first(key) else contact.kick_at
        self._contacts[key] = msgspec.structs.replace(contact, look_at=look_at)

    def _rest(self, key: PublicKey, contact: Contact, now: float) -> None:
        """Look at a peer to which nothing was sent ever more rarely, and then only in full passes: see `seen`."""
        pause_s = min(LONGEST_LOOK_S, max(LOOK_EVERY_S, (now - contact.since) / 10))
        if now < contact.since + WATCHED_S:
            self._contacts[key] = msgspec.structs.replace(
                contact, look_at=_shared_look_at(now, pause_s), unanswered_since=None, kick_at=inf
            )
        elif contact.kicks:  # the next kick must be as late as if it had been watched
            self._contacts[key] = msgspec.structs.replace(contact, look_at=inf, unanswered_since=None, kick_at=inf)
        else:
            del self._contacts[key]

    def _first_wait_s(self, key: PublicKey) -> float:
        return LOWER_KEY_WAIT_S if self._is_first(key) else HIGHER_KEY_WAIT_S

    def _is_first(self, key: PublicKey) -> bool:
        """Return whether this node, and not the peer, kicks first."""
        return self._own_key is None or self._own_key < key


def is_unanswered(peer: PeerState) -> bool:
    """Return whether an initiation was sent to a peer that never had a session."""
    return peer.last_handshake is None and peer.tx_bytes >= INITIATION_BYTES


def _has_started_over(peer: PeerState, contact: Contact) -> bool:
    """Return whether the other side sent an initiation since the last look that was not its first one."""
    return peer.rx_bytes >= max(contact.rx_bytes, INITIATION_BYTES) + INITIATION_BYTES


def _has_collided(peer: PeerState, contact: Contact, now: float) -> bool:
    """Return whether the other side's first initiation has crossed the one of this node: each discards the other's."""
    lately = contact.unanswered_since is not None and now < contact.unanswered_since + LOWER_KEY_WAIT_S
    return lately and contact.rx_bytes < INITIATION_BYTES <= peer.rx_bytes


def _shared_look_at(now: float, pause_s: float) -> float:
    """Return when to look after a pause of LOOK_EVERY_S at least, or earlier by less than the pause.

    Peers that have waited about as long share these moments: one look reads all of them.
    """
    step_s = LOOK_EVERY_S * 2 ** floor(log2(pause_s / LOOK_EVERY_S))
    shared = (now + pause_s) // step_s * step_s
    return shared if shared > now else now + pause_s
