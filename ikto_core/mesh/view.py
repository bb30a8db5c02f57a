"""The view of the mesh: which records of the bucket are accepted, the peers that they form, and why others are not.

A pure, incremental fold: a record is judged once, and this node's own subnet changes in place. Every node accepts the
same records, in whatever order it sees them: first the records in canonical form (the network address with the prefix
length of the mesh), then the others, those with a proof first, in the order of their KV keys (mesh/subnet_contest.py).
What counts under a KV key, if not what the bucket has there, is decided in mesh/pins.py.
"""

from collections.abc import Collection, Mapping, Set

import msgspec

from ikto_core.mesh.peer_index import AcceptedRecord, MeshPeer, PeerIndex
from ikto_core.mesh.records import PEER_KEYS, PeerRecord, RecordError, decode_record
from ikto_core.mesh.subnet_contest import FIRST, Rank, SubnetContest
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

LOCAL_NODE = FIRST  # stands for this node among the contenders for a subnet; the others are KV keys


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The last write of one key of the bucket."""

    revision: int
    value: bytes | None  # None: deleted
    time: str = ""  # when the server stored it; empty: unknown
    unreadable: str = ""  # why its key can't be read; the key is then a replacement that names the revision


class MeshRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules by which records are accepted."""

    cidr: Prefix  # the address range of the mesh
    subnet_prefix: int  # the prefix length of a canonical record's subnet
    own_key: PublicKey
    other_own_keys: Set[PublicKey] = frozenset()  # this installation's former keys and its next key
    own_subnet: Prefix | None = None  # None: none claimed yet
    require_proof: bool = False  # only records with a proof are accepted

    def is_own(self, key: PublicKey) -> bool:
        """Whether a public key belongs to this installation."""
        return key == self.own_key or key in self.other_own_keys


class QuarantinedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record that is not accepted, and the reason; it does not affect other records."""

    key: str
    revision: int
    reason: str


class Ruling(msgspec.Struct, frozen=True, gc=False):
    """What counts under one KV key."""

    entry: Entry  # the bucket's, or an earlier one that was pinned; without a value: no record counts
    proved: bool = False  # the owner of its public key has signed it
    refused: QuarantinedRecord | None = None  # what the bucket has instead
    owner: PublicKey | None = None  # the public key that the entry names, also an invalid one; None: no record counts
    record: PeerRecord | None = None  # the entry, if it is decoded already


class _OwnSubnet(msgspec.Struct, frozen=True):
    """This node's own subnet, among the records that want a subnet."""

    subnet: Prefix
    rank: Rank = (False, False, LOCAL_NODE)

    @property
    def label(self) -> str:
        return f"this node's own subnet {self.subnet}"


class MeshView:
    """The accepted peers and quarantined records of a bucket, updated key by key."""

    def __init__(self, rules: MeshRules) -> None:
        self.rules = rules
        self.peers: dict[PublicKey, MeshPeer] = {}  # without this installation's own keys
        self.on_device: dict[PublicKey, MeshPeer] = {}  # the peers and their announced next keys
        self.quarantined: dict[str, QuarantinedRecord] = {}
        self.own_records: dict[str, AcceptedRecord] = {}  # records with one of this installation's keys
        self._new_own_records: set[str] = set()  # the KV keys of those that `take_new_own_records` has not returned yet
        self.decided: Set[str] = frozenset()  # the KV keys about which the last update has decided
        self._accepted: dict[str, AcceptedRecord] = {}
        self._refused: dict[str, QuarantinedRecord] = {}
        self._contending: dict[str, AcceptedRecord] = {}  # valid, accepted or not, without this node's own record
        self._by_public_key = PeerIndex()
        self._contest = SubnetContest()
        self._contest.set(LOCAL_NODE, _OwnSubnet(rules.own_subnet) if rules.own_subnet else None)
        self._contest.decide()

    def update(self, changes: Mapping[str, Entry | Ruling]) -> set[PublicKey]:
        """Apply what counts now under some KV keys; return the keys of `on_device` that are new, changed or gone.

        Decided are these records, and the noncanonical ones whose subnet overlaps one that changed hands (0.3.0 accepts
        any form). A canonical record costs O(log n), because it can't overlap another canonical one.
        """
        rulings = {key: change if isinstance(change, Ruling) else Ruling(change) for key, change in changes.items()}
        rulings = {key: ruling for key, ruling in rulings.items() if self._concerns_peers(key, ruling.entry)}
        before = {key: self._evict(key) for key in rulings}
        for key, ruling in rulings.items():
            self._enter(key, self._decode(key, ruling))
        return self._decide(before)

    def set_own_subnet(self, subnet: Prefix | None) -> set[PublicKey]:
        """See the mesh from another subnet of this node's, or from none; return as `update`.

        Looked at again are the records that overlap the subnet before or the new one, and this node's own records,
        which `take_new_own_records` returns again.
        """
        if subnet == self.rules.own_subnet:
            self.decided = frozenset()
            return set()
        self.rules = msgspec.structs.replace(self.rules, own_subnet=subnet)
        self._contest.set(LOCAL_NODE, _OwnSubnet(subnet) if subnet else None)
        own_records = dict(self.own_records)
        before = {key: self._evict(key) for key in own_records}
        for key, valid in own_records.items():
            self._enter(key, valid)
        return self._decide(before)

    def _decide(self, before: dict[str, AcceptedRecord | None]) -> set[PublicKey]:
        """Decide about records that were entered; `before`: those that were accepted. Return as `update`."""
        decisions = self._contest.decide()
        decisions.pop(LOCAL_NODE, None)  # its rank is the lowest: it always wins
        before |= {key: self._evict(key) for key in decisions.keys() - before.keys()}
        for key, winner in decisions.items():
            self._settle(self._contending[key], winner)
        self.decided = before.keys()
        if self._refused:
            self.quarantined |= {key: self._refused[key] for key in self.decided if key in self._refused}
        return self._refresh(before)

    def noncanonical_overlap(self, subnet: Prefix) -> AcceptedRecord | None:
        """Return the accepted noncanonical record of a peer that overlaps `subnet`; None if there is none."""
        accepted = self._accepted.get(self._contest.winner(subnet) or LOCAL_NODE)
        conflicts = accepted and not self.rules.is_own(accepted.record.public_key) and not accepted.canonical
        return accepted if conflicts else None

    def is_free(self, subnet: Prefix) -> bool:
        """Whether `subnet` overlaps no accepted record and not this node's own subnet."""
        return self._contest.winner(subnet) is None

    @property
    def accepted(self) -> Collection[str]:
        """The KV keys of the accepted records, without this node's own record."""
        return self._accepted.keys()

    def subnets(self) -> frozenset[Prefix]:
        """The subnets of the accepted records."""
        return frozenset(accepted.subnet for accepted in self._accepted.values())

    def valid_record(self, key: str) -> AcceptedRecord | None:
        """Return the valid record of a KV key, accepted or not; None if there is none, or it is this node's own."""
        return self._contending.get(key)

    def take_new_own_records(self) -> list[AcceptedRecord]:
        """Return those of `own_records` that are new or changed since the last call."""
        new, self._new_own_records = self._new_own_records, set()
        return [self.own_records[key] for key in sorted(new)]

    def _concerns_peers(self, key: str, entry: Entry) -> bool:
        """Return whether an entry is a peer's record, or may be one, or was quarantined as such."""
        return key.startswith(PEER_KEYS) or bool(entry.unreadable) or key in self.quarantined

    def _decode(self, key: str, ruling: Ruling) -> AcceptedRecord | None:
        """Return the record if it is valid by itself; an invalid record is quarantined."""
        entry = ruling.entry
        if ruling.refused:
            self._refused[key] = ruling.refused
        else:
            self._refused.pop(key, None)
        if entry.value is None:
            return None
        try:
            if entry.unreadable:
                raise RecordError(entry.unreadable)
            record = ruling.record or decode_record(key, entry.value)
            subnet = record.subnet
            if not self.rules.cidr.covers(subnet):
                raise RecordError(f"{subnet} is outside the mesh {self.rules.cidr}")
        except RecordError as error:
            self.quarantined[key] = QuarantinedRecord(key, entry.revision, str(error))
            return None
        canonical = subnet.length == self.rules.subnet_prefix and str(subnet) == record.allowed_ip
        return AcceptedRecord(key, entry.revision, record, subnet, canonical, ruling.proved)

    def _enter(self, key: str, valid: AcceptedRecord | None) -> None:
        """Note what is valid under a KV key, and have its subnet contend; None: nothing is."""
        self.own_records.pop(key, None)
        self._new_own_records.discard(key)
        self._contending.pop(key, None)
        if valid and self.rules.is_own(valid.record.public_key):
            self.own_records[key] = valid
            self._new_own_records.add(key)
            if valid.subnet == self.rules.own_subnet and valid.canonical:
                valid = None  # this node's own record: LOCAL_NODE contends for its subnet
        if valid:
            self._contending[key] = valid
        self._contest.set(key, valid)

    def _settle(self, accepted: AcceptedRecord, winner: str | None) -> None:
        """Accept a valid record unless its subnet overlaps that of a winner; then quarantine it."""
        if winner is not None:
            reason = f"{accepted.subnet} overlaps {self._contest.label(winner)}"
            self.quarantined[accepted.key] = QuarantinedRecord(accepted.key, accepted.revision, reason)
            return
        self._accepted[accepted.key] = accepted
        self._by_public_key.add(accepted)

    def _evict(self, key: str) -> AcceptedRecord | None:
        """Discard the decision about a KV key; return its record if it was accepted."""
        self.quarantined.pop(key, None)
        accepted = self._accepted.pop(key, None)
        if accepted:
            self._by_public_key.discard(accepted)
        return accepted

    def _refresh(self, before: Mapping[str, AcceptedRecord | None]) -> set[PublicKey]:
        """Rebuild the peers whose accepted records changed; return the public keys that are different on the device."""
        affected: set[PublicKey] = set()
        for key, old in before.items():
            new = self._accepted.get(key)
            if old != new:
                affected.update(old.public_keys if old else (), new.public_keys if new else ())
        return {key for key in affected if not self.rules.is_own(key) and self._rebuild(key)}

    def _rebuild(self, public_key: PublicKey) -> bool:
        """Rebuild the peer with this key, or the next key of a peer; return whether it is different from before."""
        before = self.on_device.get(public_key)
        peer = self._by_public_key.peer(public_key)
        on_device = peer or self._by_public_key.announced(public_key)
        for peers, shown in ((self.peers, peer), (self.on_device, on_device)):
            peers.pop(public_key, None)
            if shown:
                peers[public_key] = shown
        return on_device != before
