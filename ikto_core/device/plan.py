"""What a pass is going to write of the peers. Each is judged by itself, in slices."""

from collections.abc import AsyncIterator, Callable, Collection, Container, Mapping
from typing import NamedTuple

import msgspec

from ikto_core.device.diff import diff_peer, gains
from ikto_core.device.endpoint_policy import EndpointChoice, Moment
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import PeerPatch, PeerState
from ikto_core.device.pass_schedule import Due
from ikto_core.device.slices import slices
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

MOST_JUDGED_AGAIN = 100
"""So many peers are judged at once at the end of a plan, in a millisecond or two, if they have changed meanwhile."""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """By what a plan judges."""

    peers: Mapping[PublicKey, MeshPeer]  # of the target; may change in place
    shown: Mapping[PublicKey, PeerState]  # the peers on the device
    read: Container[PublicKey]  # the peers on the device that were read just now: their endpoints are checked
    removable: Container[PublicKey]  # those that may be removed if they are in no record any more
    hold_next_keys: bool  # put announced next keys on the device
    at: Moment


class Judged(NamedTuple):
    """A peer that belongs on the device."""

    peer: MeshPeer
    choice: EndpointChoice | None  # of its endpoint; None: it was not checked
    unchanged: bool  # nothing of it was to be written


class Plan:
    """The changes of the peers that were judged. All of them are as of one moment once `complete` has returned."""

    def __init__(self, rules: Rules, endpoints: EndpointTracker) -> None:
        self.choices: dict[PublicKey, EndpointChoice] = {}
        self.wanted: dict[PublicKey, MeshPeer] = {}  # the judged peers that belong on the device
        self.next_keys: set[PublicKey] = set()  # the judged keys that peers have announced, wanted or not
        self.left: set[PublicKey] = set()  # the judged peers that are in no record any more
        self.surplus: set[PublicKey] = set()  # those that are on the device, and are to be removed
        self.unchanged: dict[PublicKey, MeshPeer] = {}  # those that were read, and of which nothing is to be written
        self.holders: dict[Prefix, PublicKey] = {}  # which of the judged peers is to have a prefix
        self.postponed: set[PublicKey] = set()  # peers that are left to the next pass
        self._rules = rules
        self._endpoints = endpoints
        self._judged: set[PublicKey] = set()
        self._gaining: dict[PublicKey, PeerPatch] = {}  # see `diff_peers` for their order
        self._others: dict[PublicKey, PeerPatch] = {}

    @property
    def patches(self) -> tuple[PeerPatch, ...]:
        """The changes, in the order in which they are to be written."""
        return (*self._gaining.values(), *self._others.values())

    async def complete(self, keys: Collection[PublicKey], meanwhile: Callable[[], Due]) -> None:
        """Judge these peers in slices; nothing may be awaited between the end and the use of the plan.

        Peers that change meanwhile are judged again at the end, with both the keys between which a prefix moves: a new
        key is on the device when the old one is removed. If they are many, they are left to the next pass, which their
        change has requested.

        Args:
            keys: The peers.
            meanwhile: Returns what was reported since the pass began.

        """
        async for part in slices(keys):
            for key in part:
                self._judge(key)
        changed = meanwhile().changed
        for key in changed & self._judged:
            self._drop(key)
        if len(changed) > MOST_JUDGED_AGAIN:
            self.postponed = set(changed)
            return
        for key in changed - self._judged:  # a next key may have had its predecessor judged
            self._judge(key)

    def taken_from(self, state: PeerState) -> frozenset[Prefix]:
        """Return the prefixes of a peer on the device that the plan gives to another one: each belongs to one peer."""
        key, holders = state.public_key, self.holders
        return frozenset(prefix for prefix in state.allowed_ips if holders.get(prefix, key) != key)

    async def take_judged(self) -> AsyncIterator["Judged"]:
        """Yield the judged peers that belong on the device, and empty the plan: once it has been carried out.

        What is old is dropped in slices: the end of many thousand objects at once takes as long as their use.
        """
        async for keys in slices(list(self.wanted)):
            for key in keys:
                peer, choice = self.wanted.pop(key), self.choices.pop(key, None)
                yield Judged(peer, choice, self.unchanged.pop(key, None) is not None)

    def _judge(self, key: PublicKey) -> None:
        rules = self._rules
        self._judged.add(key)
        peer = rules.peers.get(key)
        state = rules.shown.get(key)
        if peer is None:
            self.left.add(key)
            if state is not None and key in rules.removable:
                self.surplus.add(key)
            return
        if peer.predecessor:
            self.next_keys.add(key)
        if self._is_wanted(peer, state):
            self._judge_wanted(peer, state)

    def _judge_wanted(self, peer: MeshPeer, state: PeerState | None) -> None:
        key = peer.public_key
        self.wanted[key] = peer
        choice = None
        if state is None or key in self._rules.read:
            self.choices[key] = choice = self._endpoints.choose(peer, self._rules.shown, self._rules.at)
        spec = self._endpoints.spec(peer, choice)
        for prefix in spec.allowed_ips:
            self.holders[prefix] = key
        if patch := diff_peer(spec, state):
            (self._gaining if gains(patch, state) else self._others)[key] = patch
        elif choice:
            self.unchanged[key] = peer
        if peer.predecessor and peer.predecessor in self._judged:  # it may have lost its prefixes to this key
            self._drop(peer.predecessor)
            self._judge(peer.predecessor)

    def _is_wanted(self, peer: MeshPeer, state: PeerState | None) -> bool:
        """Return whether a peer belongs on the device. A next key does only while the bucket is not followed.

        If the bucket is followed, it shows at once that the key is used. The device must not answer the key before: the
        peer would send then, and its packets would be dropped until its prefixes belong to the new key.
        """
        return peer.predecessor is None or self._rules.hold_next_keys or state is not None

    def _drop(self, key: PublicKey) -> None:
        """Forget a peer that was judged."""
        self._judged.remove(key)
        self.left.discard(key)
        self.surplus.discard(key)
        self.next_keys.discard(key)
        if peer := self.wanted.pop(key, None):
            for found in (self.choices, self.unchanged, self._gaining, self._others):
                found.pop(key, None)
            for accepted in peer.records:
                if self.holders.get(accepted.subnet) == key:
                    del self.holders[accepted.subnet]
