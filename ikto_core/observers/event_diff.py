"""What is to be told next to one who was told this much: the difference of two views, as events. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import NamedTuple, TypeVar

import msgspec

from ikto_core.device.model import Interface
from ikto_core.mesh.records import subnet_of_key
from ikto_core.mesh.view import MeshPeer, QuarantinedRecord
from ikto_core.observers.contract import (
    MeshEvent,
    MeshReady,
    PeerAccepted,
    PeerChanged,
    PeerFacts,
    PeerRemoved,
    QuarantineEnded,
    RecordQuarantined,
    Resync,
)
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

K = TypeVar("K")
V = TypeVar("V")


class MeshContents(NamedTuple):
    """All there is to tell at one moment."""

    peers: Mapping[PublicKey, MeshPeer] = {}
    quarantined: Mapping[str, QuarantinedRecord] = {}  # by KV key
    ready: MeshReady | None = None  # None: the device does not show the mesh yet


class EventDiff:
    """What one reader was told, and which peers and records may be other than that.

    The latter are at most as many as there are, or were told: what came and went meanwhile does not wait.
    """

    def __init__(self) -> None:
        self._begun = False
        self._whole = True  # anything may be other than it was told
        self._peers: dict[PublicKey, MeshPeer] = {}  # as told last
        self._quarantined: dict[str, QuarantinedRecord] = {}
        self._ready: MeshReady | None = None
        self._unsettled_peers: set[PublicKey] = set()
        self._unsettled_records: set[str] = set()

    def waiting(self, now: MeshContents) -> int:
        """Return how many peers and records wait to be told of, at most."""
        peers, records = self._unsettled(now)
        return len(peers) + len(records)

    def invalidate(self) -> None:
        """Note that anything may be other than it was told."""
        self._whole = True
        self._unsettled_peers, self._unsettled_records = set(), set()

    def touch(self, peers: Iterable[PublicKey], records: Iterable[str], now: MeshContents) -> None:
        """Note that these may be other than they were told; it costs nothing for all others."""
        if not self._whole:
            _note(self._unsettled_peers, peers, self._peers, now.peers)
            _note(self._unsettled_records, records, self._quarantined, now.quarantined)

    def take(self, now: MeshContents) -> tuple[MeshEvent, ...]:
        """Return what makes what was told what there is now, and take it for told."""
        events: list[MeshEvent] = []
        if not self._begun:
            events.append(Resync(peers=len(now.peers), quarantined=len(now.quarantined)))
        peers, records = self._unsettled(now)
        events += sorted((*self._of_peers(peers, now), *self._of_records(records, now)), key=_turn)
        if now.ready and (self._ready is None or _place(now.ready) != _place(self._ready)):
            self._ready = now.ready
            events.append(now.ready)
        self._begun, self._whole = True, False
        self._unsettled_peers, self._unsettled_records = set(), set()
        return tuple(events)

    def _unsettled(self, now: MeshContents) -> tuple[Set[PublicKey], Set[str]]:
        if not self._whole:
            return self._unsettled_peers, self._unsettled_records
        return self._peers.keys() | now.peers.keys(), self._quarantined.keys() | now.quarantined.keys()

    def _of_peers(self, keys: Set[PublicKey], now: MeshContents) -> Iterator[MeshEvent]:
        for key in keys:
            before, after = self._peers.get(key), now.peers.get(key)
            if before != after and (event := _peer_event(before, after)):
                _put(self._peers, key, after)
                yield event

    def _of_records(self, keys: Set[str], now: MeshContents) -> Iterator[MeshEvent]:
        for key in keys:
            before, after = self._quarantined.get(key), now.quarantined.get(key)
            if (before and before.reason) != (after and after.reason):
                _put(self._quarantined, key, after)
                yield _record_event(key, after)


def facts(peer: MeshPeer) -> PeerFacts:
    """Return what is told of a peer."""
    return PeerFacts(
        public_key=peer.public_key.text,
        name=peer.name,
        subnets=tuple(str(subnet) for subnet in sorted(peer.allowed_ips, key=lambda s: (s.bits, s))),
        addresses=tuple(a.record.device_address for a in peer.records if a.record.public_key == peer.public_key),
        endpoints=tuple(str(endpoint) for endpoint in peer.endpoints),
        revision=peer.records[0].revision,
    )


def _peer_event(before: MeshPeer | None, after: MeshPeer | None) -> MeshEvent | None:
    """Return what makes of a peer as it was told what it is; None: nothing that is told of."""
    if before is None:
        return PeerAccepted(peer=facts(after)) if after else None
    told = facts(before)
    if after is None:
        return PeerRemoved(peer=told)
    present = facts(after)
    same = msgspec.structs.replace(told, revision=present.revision) == present
    return None if same else PeerChanged(peer=present, before=told)


def _record_event(key: str, after: QuarantinedRecord | None) -> MeshEvent:
    allowed_ip = subnet_of_key(key)
    if after is None:
        return QuarantineEnded(key=key, allowed_ip=allowed_ip)
    return RecordQuarantined(key=key, allowed_ip=allowed_ip, revision=after.revision, reason=after.reason)


_TURNS = (PeerRemoved, QuarantineEnded, PeerChanged, PeerAccepted, RecordQuarantined)


def _turn(event: MeshEvent) -> tuple[int, str]:
    """Return when an event's turn is among those of one call: the contract's O4, and then by key."""
    match event:
        case PeerAccepted(peer=peer) | PeerChanged(peer=peer) | PeerRemoved(peer=peer):
            key = peer.public_key
        case RecordQuarantined(key=key) | QuarantineEnded(key=key):
            pass
        case _:
            key = ""
    return _TURNS.index(type(event)), key


def _place(ready: MeshReady) -> tuple[str, str]:
    return ready.subnet, ready.address


def _note(unsettled: set[K], keys: Iterable[K], told: Collection[K], present: Collection[K]) -> None:
    for key in keys:
        if key in told or key in present:
            unsettled.add(key)
        else:
            unsettled.discard(key)  # it came and went while nobody was told


def _put(told: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        told.pop(key, None)
    else:
        told[key] = value


def readiness(
    subnet: Prefix | None, addresses: Iterable[Interface], ifname: str, revision: int | None
) -> MeshReady | None:
    """Return what is told once the device shows these addresses at that revision; None unless one is of our subnet."""
    own = next((str(a.ip) for a in addresses if subnet and subnet.covers(Prefix.of(a.packed, subnet.bits))), None)
    if subnet is None or own is None or revision is None:
        return None
    return MeshReady(subnet=str(subnet), address=own, ifname=ifname, revision=revision)
