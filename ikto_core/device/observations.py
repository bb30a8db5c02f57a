"""What reads of a device have shown of its peers, and what follows from it: who is silent, stalled or settled."""

from collections.abc import Collection, Mapping, Set

from ikto_core.device.contact_times import ContactTimes
from ikto_core.device.contacts import Contacts
from ikto_core.device.endpoint_policy import EndpointChoice, Moment
from ikto_core.device.first_contact import is_unanswered
from ikto_core.device.kicker import Kicker
from ikto_core.device.model import PeerState
from ikto_core.device.shown_peers import ShownPeers
from ikto_core.device.silence import SilenceTracker, reasons
from ikto_core.device.slices import slices
from ikto_core.device.stalled import StallTracker
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.keys import PublicKey


class Observations:
    """The peers of one device as they were read. `kicker` is told of those whose first handshake got no answer."""

    def __init__(self, kicker: Kicker) -> None:
        self.shown = ShownPeers()
        self.stalls = StallTracker()
        self.silence = SilenceTracker()
        self.contacts = Contacts()
        self.contact_times = ContactTimes()
        self._kicker = kicker

    async def take_device(
        self, states: Mapping[PublicKey, PeerState], peers: Mapping[PublicKey, MeshPeer], at: Moment
    ) -> dict[PublicKey, None]:
        """Take all peers of the device; return those to look at: of both these and the target's, all but settled ones.

        Args:
            states: The peers as just read.
            peers: Those of the target, which may change meanwhile.
            at: The time.

        """
        self.stalls.begin(at.monotonic)
        self.contact_times.forget_old(at.epoch)
        self.contacts.read_device(states.keys(), peers.keys())
        looked: dict[PublicKey, None] = {}  # in an order that is the same whenever the device is
        async for part, unsettled in self.shown.replace(states, peers):
            self.stalls.add(part)
            self._saw({key: part[key] for key in unsettled}, peers, at)
            looked |= dict.fromkeys(unsettled)
        self.stalls.end()
        for key in self.shown.vanished:
            self.silence.forget(key)
        async for keys in slices(list(peers)):
            looked |= dict.fromkeys(key for key in keys if key not in self.shown.states)
        return looked

    async def take_some(self, keys: Set[PublicKey], found: Mapping[PublicKey, PeerState], at: Moment) -> None:
        """Take these peers of the target; those that were not found are not on the device."""
        async for part in slices(keys):
            states = {key: found[key] for key in part if key in found}
            self.silence.observe(states, at)
            self._kicker.seen(states)
            self.saw_sessions(states)
            for key in part:
                if key in states:
                    self.shown.set(key, states[key])
                else:
                    self.forget(key)

    def _saw(self, states: Mapping[PublicKey, PeerState], peers: Mapping[PublicKey, MeshPeer], at: Moment) -> None:
        self.silence.observe(states, at)
        ours = {key: state for key, state in states.items() if key in peers}
        self._kicker.seen(ours)
        self.saw_sessions(ours)

    def saw_sessions(self, states: Mapping[PublicKey, PeerState]) -> None:
        """Note the last handshakes of some peers."""
        self.contacts.sessions.saw(states)
        self.contact_times.saw(states)

    def added(self, keys: Collection[PublicKey], now: float) -> None:
        """Note peers that were just added to the device, at `now` in seconds since the epoch."""
        self._kicker.added(keys)
        self.contact_times.added(keys, now)

    def forget(self, key: PublicKey) -> None:
        """Forget a peer that is not on the device any more."""
        self.shown.remove(key)
        self.silence.forget(key)

    def settle(self, peer: MeshPeer, choice: EndpointChoice) -> None:
        """Note that a peer was judged and nothing is to be written, if that stays so until it changes.

        Time changes nothing then: no endpoint has a turn or waits for the end of a session, no answer is awaited, and
        the prefixes do not depend on which of two keys is in use.
        """
        key = peer.public_key
        state = self.shown.states[key]
        if (
            choice.endpoint is None
            and choice.check_at is None
            and not choice.history.unwritten
            and state.endpoint is not None
            and not is_unanswered(state)
            and self.silence.owes_nothing(key, state)
            and not any(accepted.record.next_public_key for accepted in peer.records)
        ):
            self.shown.settle(key, peer)

    def unreachable(self, without_endpoint: Mapping[PublicKey, str]) -> dict[PublicKey, str]:
        """Return the peers that can't be reached, and why. `without_endpoint`: those that have no usable endpoint."""
        return dict(reasons(self.silence.silent, self.stalls.stalled, without_endpoint, self.shown.states))
