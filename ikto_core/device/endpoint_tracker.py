"""Tracks the endpoints of all peers: what was written, what to write, and when to check a peer again."""

from collections.abc import Callable, Mapping
from math import inf

from msgspec.structs import replace

from ikto_core.device.endpoint_filter import refusal, usable_endpoints
from ikto_core.device.endpoint_policy import (
    TURN_S,
    EndpointChoice,
    EndpointHistory,
    Moment,
    choose_endpoint,
    kicked,
)
from ikto_core.device.key_succession import KeySuccession
from ikto_core.device.model import PeerSpec, PeerState
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey

NO_ROUTE = "this host has no route to it"


class EndpointTracker:
    """Keeps the endpoint history of each peer between checks and writes.

    Args:
        persistent_keepalive: Interval of the device's keepalives to its peers, in seconds; 0: off.
        has_route: Whether this host has a route to an endpoint.
        mesh: The mesh's network, in which no endpoint may be; None: unknown.

    """

    def __init__(
        self,
        *,
        persistent_keepalive: int = 0,
        has_route: Callable[[Endpoint], bool] = lambda _: True,
        mesh: Prefix | None = None,
    ) -> None:
        self.key_succession = KeySuccession()
        self.without_endpoint: dict[PublicKey, str] = {}  # peers that have no usable endpoint, and why
        self._keepalive_s = persistent_keepalive
        self._has_route = has_route
        self._mesh = mesh
        self._histories: dict[PublicKey, EndpointHistory] = {}
        self._check_at: dict[PublicKey, float] = {}  # only of peers that need a check; few do
        self._next_check_at = inf  # none of them is earlier

    @property
    def next_check_at(self) -> float:
        """When `due` may have peers to check, by `Moment.monotonic`; infinity: no peer needs a check."""
        return self._next_check_at if self._check_at else inf

    def due(self, now: float) -> frozenset[PublicKey]:
        """Return the peers whose endpoints must be checked now."""
        if now < self.next_check_at:
            return frozenset()
        retry_at = now + TURN_S  # of those that change during the check, and are left to a later one
        self._next_check_at = min([retry_at, *(at for at in self._check_at.values() if at > now)])
        return frozenset(key for key, at in self._check_at.items() if at <= now)

    def copy(self) -> "EndpointTracker":
        """Return a tracker that remembers the same, and can be asked without consequences for this one."""
        twin = EndpointTracker(persistent_keepalive=self._keepalive_s, has_route=self._has_route, mesh=self._mesh)
        twin.key_succession = self.key_succession.copy()
        twin._histories, twin._check_at = dict(self._histories), dict(self._check_at)
        twin._next_check_at = self._next_check_at
        return twin

    def has_new_candidates(self, peer: MeshPeer) -> bool:
        """Whether the endpoint candidates of a peer have changed since it was last checked, or may not be written."""
        history = self._histories.get(peer.public_key)
        return history is None or history.unwritten or history.candidates != self._usable(peer.endpoints)

    def begin_pass(self, peers: Mapping[PublicKey, MeshPeer]) -> None:
        """Forget which next keys are in use of those that `peers`, the target's, do not have as such any more."""
        self.key_succession.changed = False
        self.key_succession.keep_only(peers)

    def choose(self, peer: MeshPeer, shown: Mapping[PublicKey, PeerState], at: Moment) -> EndpointChoice:
        """Return the endpoint to write for a peer that is as just `shown`; call `remember` after the write."""
        choice = self._choose(peer, shown, at)
        self._note_missing(peer, choice, shown.get(peer.public_key))
        return choice

    def spec(self, peer: MeshPeer, choice: EndpointChoice | None) -> PeerSpec:
        """Return the desired state of a peer; without a choice its endpoint is left unchanged."""
        return PeerSpec(
            public_key=peer.public_key,
            allowed_ips=self.key_succession.allowed_ips(peer),
            endpoint=choice.endpoint if choice else None,
            persistent_keepalive=0 if peer.predecessor or peer.draining else self._keepalive_s,
        )

    def remember(self, key: PublicKey, choice: EndpointChoice) -> None:
        """Record a choice after it was written."""
        self._histories[key] = choice.history
        if choice.check_at is None:
            self._check_at.pop(key, None)
        else:
            self._check_at[key] = choice.check_at
            self._next_check_at = min(self._next_check_at, choice.check_at)

    def remember_restored(self, key: PublicKey, choice: EndpointChoice) -> None:
        """Record the candidates of a restored peer that needs no write and no check.

        If the bucket names other candidates later, these count as not written yet.
        """
        if choice.endpoint is None and choice.check_at is None:
            self._histories.setdefault(key, choice.history)

    def write_failed(self, key: PublicKey) -> None:
        """Record that the endpoint of a peer may have been written, or not: one that is there has not roamed."""
        if history := self._histories.get(key):
            self._histories[key] = replace(history, unwritten=True)

    def kicked(self, key: PublicKey) -> None:
        """Record that a peer was removed and added again: its counters begin at 0."""
        if history := self._histories.get(key):
            self._histories[key] = kicked(history)

    def forget(self, key: PublicKey) -> None:
        """Forget a removed peer: if it comes back, it is new."""
        self._histories.pop(key, None)
        self._check_at.pop(key, None)
        self.without_endpoint.pop(key, None)

    def _choose(self, peer: MeshPeer, shown: Mapping[PublicKey, PeerState], at: Moment) -> EndpointChoice:
        if peer.predecessor:
            return self.key_succession.choose(peer, peer.predecessor, shown, self._usable, self._has_route)
        candidates, history = self._usable(peer.endpoints), self._histories.get(peer.public_key)
        if history and history.candidates == candidates:
            candidates = history.candidates  # one object for as long as they are the same
        return choose_endpoint(
            candidates,
            history,
            shown.get(peer.public_key),
            at=at,
            keepalive=self._keepalive_s > 0,
            has_route=self._has_route,
        )

    def _usable(self, endpoints: tuple[Endpoint, ...]) -> tuple[Endpoint, ...]:
        return usable_endpoints(endpoints, self._mesh)

    def _note_missing(self, peer: MeshPeer, choice: EndpointChoice, observed: PeerState | None) -> None:
        """Note why a peer gets no endpoint, unless the device has learned one."""
        if choice.endpoint or (observed and observed.endpoint) or peer.predecessor:
            self.without_endpoint.pop(peer.public_key, None)
            return
        why = (f"{endpoint}: {refusal(endpoint, self._mesh) or NO_ROUTE}" for endpoint in peer.endpoints)
        self.without_endpoint[peer.public_key] = "; ".join(why)
