"""A peer that is looked at now and then: what the endpoint rule makes of it."""

from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S, Choice, Memory, Moment, choose_endpoint
from ikto_core.device.model import PeerState
from ikto_core.testing.devices import public_key_of
from ikto_core.testing.strategies import endpoints
from ikto_core.values.addressing import Endpoint

NOW, EPOCH = 5000.0, 1_700_000_000.0
A, B, C, ROAMED = (Endpoint("192.0.2.1", port) for port in (1, 2, 3, 4))
BARE = PeerState(public_key=public_key_of(1))
CANDIDATES = st.lists(endpoints(), min_size=1, max_size=4, unique=True).map(tuple)
AGES = st.none() | st.integers(-1000, 1000)
OVER = HANDSHAKE_RECENT_S


def observed(endpoint: Endpoint | None, age_s: float | None = None) -> PeerState:
    """Return a peer at an endpoint whose last handshake is so long ago; None: there was none."""
    return replace(BARE, endpoint=endpoint, last_handshake=None if age_s is None else EPOCH - age_s)


class Peer:
    """A peer that is looked at now and then, and what was written for it."""

    def __init__(
        self, *candidates: Endpoint, shown: PeerState | None = None, first: bool = True, keepalive: bool = False
    ) -> None:
        self.candidates = candidates
        self.shown = shown
        self.memory: Memory | None = None
        self.now = NOW
        self.written: list[tuple[float, Endpoint]] = []
        self.unrouted: set[Endpoint] = set()  # where this host can't send to
        self._first, self._keepalive = first, keepalive

    def look(self, after_s: float = 0, *, sent: int = 0, received: int = 0, shake: bool = False) -> Choice:
        """Look at the peer after so long, in which this was sent and received; what is to be written is."""
        self.now += after_s
        if self.shown:
            self.shown = replace(
                self.shown,
                tx_bytes=self.shown.tx_bytes + sent,
                rx_bytes=self.shown.rx_bytes + received,
                last_handshake=self.epoch if shake else self.shown.last_handshake,
            )
        at = Moment(self.now, self.epoch)
        choice = choose_endpoint(
            self.candidates,
            self.memory,
            self.shown,
            at=at,
            first=self._first,
            keepalive=self._keepalive,
            has_route=lambda endpoint: endpoint not in self.unrouted,
        )
        self.memory = choice.memory
        self.shown = self.shown or BARE
        if choice.endpoint:
            self.written.append((self.now, choice.endpoint))
            self.shown = replace(self.shown, endpoint=choice.endpoint)
        return choice

    @property
    def epoch(self) -> float:
        return EPOCH + self.now - NOW
