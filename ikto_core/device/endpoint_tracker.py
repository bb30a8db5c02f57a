"""How each peer is reached: what was tried, what to write, and when to look at it again."""

from collections.abc import Callable, Iterable, Mapping
from math import inf

from ikto_core.device.endpoint_policy import Choice, Memory, Moment, choose_endpoint, starts
from ikto_core.device.key_succession import KeySuccession
from ikto_core.device.model import PeerSpec, PeerState
from ikto_core.mesh.view import MeshPeer
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey


class EndpointTracker:
    """Remembers from look to look, and from write to write, how each peer was tried.

    Args:
        own_key: Ours: it says who speaks first. None: we always may.
        persistent_keepalive: How often, in seconds, the device sends to its peers anyway; 0: never.
        has_route: Whether this host can send to an endpoint.

    """

    def __init__(
        self,
        own_key: PublicKey | None = None,
        *,
        persistent_keepalive: int = 0,
        has_route: Callable[[Endpoint], bool] = lambda _: True,
    ) -> None:
        self._own_key = own_key
        self._keepalive_s = persistent_keepalive
        self._has_route = has_route
        self.key_succession = KeySuccession()
        self._memories: dict[PublicKey, Memory] = {}
        self._looks: dict[PublicKey, float] = {}  # when to look at a peer again; few have such a time

    @property
    def look_at(self) -> float:
        """When to look at the device again on account of a peer, by `Moment.now`; infinity: no need."""
        return min(self._looks.values(), default=inf)

    def is_news(self, peer: MeshPeer) -> bool:
        """Whether a peer has other candidates than when it was last looked at."""
        memory = self._memories.get(peer.public_key)
        return memory is None or memory.candidates != peer.endpoints

    def choose(
        self, peers: Iterable[MeshPeer], shown: Mapping[PublicKey, PeerState], at: Moment
    ) -> dict[PublicKey, Choice]:
        """Return what to write for peers that are as just `shown`; `remember` it once that is done."""
        self.key_succession.turned = False
        return {peer.public_key: self._choose(peer, shown, at) for peer in peers}

    def spec(self, peer: MeshPeer, choice: Choice | None) -> PeerSpec:
        """Return a peer as it should be on the device; without a choice its endpoint is let be."""
        return PeerSpec(
            public_key=peer.public_key,
            allowed_ips=self.key_succession.allowed_ips(peer),
            endpoint=choice.endpoint if choice else None,
            persistent_keepalive=0 if peer.predecessor else self._keepalive_s,
        )

    def remember(self, choices: Mapping[PublicKey, Choice]) -> None:
        """Take note of what was chosen, and written."""
        for key, choice in choices.items():
            self._memories[key] = choice.memory
            if choice.look_at is None:
                self._looks.pop(key, None)
            else:
                self._looks[key] = choice.look_at

    def found(self, choices: Mapping[PublicKey, Choice]) -> None:
        """Take note of which candidates peers had that we come upon, and about which there is nothing to do.

        If the bucket says later that they have others, these were never written.
        """
        for key, choice in choices.items():
            if choice.endpoint is None and choice.look_at is None:
                self._memories.setdefault(key, choice.memory)

    def forget(self, key: PublicKey) -> None:
        """Forget a peer that is gone: if it comes back, it is new."""
        self._memories.pop(key, None)
        self._looks.pop(key, None)

    def forget_others(self, peers: Mapping[PublicKey, MeshPeer]) -> None:
        """Forget all but these peers; one that went unwritten, or whose removal is held, is no reason to look."""
        for key in self._memories.keys() - peers.keys():
            self.forget(key)
        self.key_succession.forget_others(peers)

    def _choose(self, peer: MeshPeer, shown: Mapping[PublicKey, PeerState], at: Moment) -> Choice:
        if peer.predecessor:
            return self.key_succession.look(peer, peer.predecessor, shown)
        return choose_endpoint(
            peer.endpoints,
            self._memories.get(peer.public_key),
            shown.get(peer.public_key),
            at=at,
            first=self._own_key is None or starts(self._own_key, peer.public_key),
            keepalive=self._keepalive_s > 0,
            has_route=self._has_route,
        )
