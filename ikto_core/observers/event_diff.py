"""The difference between what a reader last received and the current mesh, as events. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from typing import NamedTuple, TypeVar

import msgspec

from ikto_core.device.model import Interface
from ikto_core.mesh.peer_index import MeshPeer
from ikto_core.mesh.records import subnet_of_key
from ikto_core.mesh.view import QuarantinedRecord
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
    """Everything that events report, at one moment."""

    peers: Mapping[PublicKey, MeshPeer] = {}
    quarantined: Mapping[str, QuarantinedRecord] = {}  # by KV key
    ready: MeshReady | None = None  # None: the device does not show the mesh yet


class EventDiff:
    """The state that one reader last received, and which peers and records may differ from it (dirty ones).

    There are at most as many dirty peers and records as the reader knows or exist now: those that came and went
    meanwhile are dropped.
    """

    def __init__(self) -> None:
        self._started = False
        self._all_dirty = True  # any peer or record may differ
        self._peers: dict[PublicKey, MeshPeer] = {}  # as last delivered
        self._quarantined: dict[str, QuarantinedRecord] = {}
        self._ready: MeshReady | None = None
        self._dirty_peers: set[PublicKey] = set()
        self._dirty_records: set[str] = set()

    def waiting(self, now: MeshContents) -> int:
        """Return an upper bound of the peers and records with an event to deliver."""
        peers, records = self._dirty(now)
        return len(peers) + len(records)

    def invalidate(self) -> None:
        """Mark all peers and records as dirty."""
        self._all_dirty = True
        self._dirty_peers, self._dirty_records = set(), set()

    def touch(self, peers: Iterable[PublicKey], records: Iterable[str], now: MeshContents) -> None:
        """Mark these as dirty. The cost depends on their number alone."""
        if not self._all_dirty:
            _mark_dirty(self._dirty_peers, peers, self._peers, now.peers)
            _mark_dirty(self._dirty_records, records, self._quarantined, now.quarantined)

    def take(self, now: MeshContents) -> tuple[MeshEvent, ...]:
        """Return the events that lead from the last delivered state to `now`, and record `now` as delivered."""
        events: list[MeshEvent] = []
        if not self._started:
            events.append(Resync(peers=len(now.peers), quarantined=len(now.quarantined)))
        peers, records = self._dirty(now)
        events += sorted((*self._peer_events(peers, now), *self._record_events(records, now)), key=_sort_key)
        if now.ready and (self._ready is None or _location(now.ready) != _location(self._ready)):
            self._ready = now.ready
            events.append(now.ready)
        self._started, self._all_dirty = True, False
        self._dirty_peers, self._dirty_records = set(), set()
        return tuple(events)

    def _dirty(self, now: MeshContents) -> tuple[Set[PublicKey], Set[str]]:
        if not self._all_dirty:
            return self._dirty_peers, self._dirty_records
        return self._peers.keys() | now.peers.keys(), self._quarantined.keys() | now.quarantined.keys()

    def _peer_events(self, keys: Set[PublicKey], now: MeshContents) -> Iterator[MeshEvent]:
        for key in keys:
            before, after = self._peers.get(key), now.peers.get(key)
            if before != after and (event := _peer_event(before, after)):
                _set_or_remove(self._peers, key, after)
                yield event

    def _record_events(self, keys: Set[str], now: MeshContents) -> Iterator[MeshEvent]:
        for key in keys:
            before, after = self._quarantined.get(key), now.quarantined.get(key)
            if (before and before.reason) != (after and after.reason):
                _set_or_remove(self._quarantined, key, after)
                yield _record_event(key, after)


def peer_facts(peer: MeshPeer) -> PeerFacts:
    """Return a peer as events report it."""
    return PeerFacts(
        public_key=peer.public_key.text,
        name=peer.name,
        subnets=tuple(str(subnet) for subnet in sorted(peer.allowed_ips, key=lambda s: (s.bits, s))),
        addresses=tuple(a.record.device_address for a in peer.records if a.record.public_key == peer.public_key),
        endpoints=tuple(str(endpoint) for endpoint in peer.endpoints),
        revision=peer.records[0].revision,
        draining=peer.draining,
    )


def _peer_event(before: MeshPeer | None, after: MeshPeer | None) -> MeshEvent | None:
    """Return the event that leads from `before` to `after`; None if they differ in nothing that events report."""
    if before is None:
        return PeerAccepted(peer=peer_facts(after)) if after else None
    known = peer_facts(before)
    if after is None:
        return PeerRemoved(peer=known)
    current = peer_facts(after)
    same = msgspec.structs.replace(known, revision=current.revision) == current
    return None if same else PeerChanged(peer=current, before=known)


def _record_event(key: str, after: QuarantinedRecord | None) -> MeshEvent:
    allowed_ip = subnet_of_key(key)
    if after is None:
        return QuarantineEnded(key=key, allowed_ip=allowed_ip)
    return RecordQuarantined(key=key, allowed_ip=allowed_ip, revision=after.revision, reason=after.reason)


_ORDER = (PeerRemoved, QuarantineEnded, PeerChanged, PeerAccepted, RecordQuarantined)


def _sort_key(event: MeshEvent) -> tuple[int, str]:
    """Return an event's sort key within one call: by type (clause O4), then by key."""
    match event:
        case PeerAccepted(peer=peer) | PeerChanged(peer=peer) | PeerRemoved(peer=peer):
            key = peer.public_key
        case RecordQuarantined(key=key) | QuarantineEnded(key=key):
            pass
        case _:
            key = ""
    return _ORDER.index(type(event)), key


def _location(ready: MeshReady) -> tuple[str, str]:
    return ready.subnet, ready.address


def _mark_dirty(dirty: set[K], keys: Iterable[K], delivered: Collection[K], current: Collection[K]) -> None:
    for key in keys:
        if key in delivered or key in current:
            dirty.add(key)
        else:
            dirty.discard(key)  # it came and went between two deliveries


def _set_or_remove(delivered: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        delivered.pop(key, None)
    else:
        delivered[key] = value


def mesh_ready(
    subnet: Prefix | None, addresses: Iterable[Interface], ifname: str, revision: int | None
) -> MeshReady | None:
    """Return the event for a device with these addresses, at this revision; None if no address is in `subnet`."""
    own = next((str(a.ip) for a in addresses if subnet and subnet.covers(Prefix.of(a.packed, subnet.bits))), None)
    if subnet is None or own is None or revision is None:
        return None
    return MeshReady(subnet=str(subnet), address=own, ifname=ifname, revision=revision)
