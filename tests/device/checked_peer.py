"""A peer that the endpoint policy checks at chosen times."""

from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.device.endpoint_policy import (
    HANDSHAKE_RECENT_S,
    EndpointChoice,
    EndpointHistory,
    Moment,
    choose_endpoint,
)
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


def observed(endpoint: Endpoint | None, handshake_age_s: float | None = None) -> PeerState:
    """Return a peer at an endpoint whose last handshake has this age; None: it never had one."""
    return replace(BARE, endpoint=endpoint, last_handshake=None if handshake_age_s is None else EPOCH - handshake_age_s)


class CheckedPeer:
    """A peer that is checked at chosen times, and the endpoints that were written for it."""

    def __init__(self, *candidates: Endpoint, shown: PeerState | None = None, keepalive: bool = False) -> None:
        self.candidates = candidates
        self.shown = shown
        self.history: EndpointHistory | None = None
        self.now = NOW
        self.written: list[tuple[float, Endpoint]] = []
        self.without_route: set[Endpoint] = set()  # endpoints that this host has no route to
        self._keepalive = keepalive

    def check(self, after_s: float = 0, *, sent: int = 0, received: int = 0, handshake: bool = False) -> EndpointChoice:
        """Check the peer after a time in which these bytes were sent and received, and write the chosen endpoint."""
        self.now += after_s
        if self.shown:
            self.shown = replace(
                self.shown,
                tx_bytes=self.shown.tx_bytes + sent,
                rx_bytes=self.shown.rx_bytes + received,
                last_handshake=self.epoch if handshake else self.shown.last_handshake,
            )
        at = Moment(self.now, self.epoch)
        choice = choose_endpoint(
            self.candidates,
            self.history,
            self.shown,
            at=at,
            keepalive=self._keepalive,
            has_route=lambda endpoint: endpoint not in self.without_route,
        )
        self.history = choice.history
        self.shown = self.shown or BARE
        if choice.endpoint:
            self.written.append((self.now, choice.endpoint))
            self.shown = replace(self.shown, endpoint=choice.endpoint)
        return choice

    def outcome(
        self, after_s: float = 0, *, sent: int = 0, received: int = 0, handshake: bool = False
    ) -> tuple[Endpoint | None, float | None]:
        """Check the peer as `check` does; return the endpoint that was written and when to check again."""
        choice = self.check(after_s, sent=sent, received=received, handshake=handshake)
        return choice.endpoint, choice.check_at

    @property
    def epoch(self) -> float:
        return EPOCH + self.now - NOW
