"""The peers that a device shows, as last read and written, and which of them are settled."""

from collections.abc import AsyncIterator, Mapping, Set

from ikto_core.device.model import PeerState
from ikto_core.device.slices import slices
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.keys import PublicKey


class ShownPeers:
    """The states of a device's peers by public key.

    A peer is settled if nothing is to be done about it as long as its records and its state are the same, however much
    time passes. Full passes skip it.
    """

    def __init__(self) -> None:
        self.states: dict[PublicKey, PeerState] = {}
        self.vanished: Set[PublicKey] = frozenset()  # those that the last `replace` did not find any more
        self._settled: dict[PublicKey, MeshPeer] = {}
        self._judged_anew = True  # since the last `unsettle`

    def begin_judging(self) -> None:
        """Note that peers are judged from here on."""
        self._judged_anew = True

    def set(self, key: PublicKey, state: PeerState) -> None:
        """Note how a peer was written or read; it is not settled any more."""
        self.states[key] = state
        self._settled.pop(key, None)

    def remove(self, key: PublicKey) -> None:
        """Forget a peer."""
        self.states.pop(key, None)
        self._settled.pop(key, None)

    def settle(self, key: PublicKey, peer: MeshPeer) -> None:
        """Note that nothing is to be done about a peer with these records and its present state.

        That it was judged before `unsettle` does not count.
        """
        if self._judged_anew:
            self._settled[key] = peer

    def unsettle(self) -> None:
        """Have all peers looked at in the next full pass."""
        self._settled, self._judged_anew = {}, False

    async def replace(
        self, states: Mapping[PublicKey, PeerState], peers: Mapping[PublicKey, MeshPeer]
    ) -> AsyncIterator[tuple[dict[PublicKey, PeerState], list[PublicKey]]]:
        """Take the whole device as just read, in slices: yield each slice, and the keys in it that are not settled.

        A state that is equal to the one before is replaced by that one, and what is old is dropped slice by slice: the
        end of fifty thousand objects at once takes 10 ms. `peers`, those of the target, may change meanwhile.
        """
        before, self.states = self.states, {}
        rest = dict(states)
        del states
        async for part in slices(range(len(rest))):
            taken: dict[PublicKey, PeerState] = {}
            unsettled = []
            for _ in part:
                key, state = rest.popitem()
                known = before.pop(key, None)
                if known == state and known is not None:
                    state = known
                else:
                    self._settled.pop(key, None)
                taken[key] = state
                settled = self._settled.get(key)
                if settled is None or settled is not peers.get(key):
                    unsettled.append(key)
            self.states |= taken
            yield taken, unsettled
        for key in before:
            self._settled.pop(key, None)
        self.vanished = before.keys()
