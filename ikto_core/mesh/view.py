"""The mesh as the bucket says it is: which records are accepted, as which peers, and why others are not.

A pure, incremental fold. Whatever the order in which records were seen, every node accepts the same ones: records in
canonical form (the network address, with the mesh's own prefix length) first, then the others by KV key.
"""

from collections.abc import Collection, Iterator, Mapping, Set

import msgspec

from ikto_core.mesh.records import PEER_KEYS, PeerRecord, RecordError, decode_record
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey
from ikto_core.values.prefix_index import PrefixIndex

LOCAL_NODE = ""
"""Who holds our own subnet, in the index of subnets; anybody else is a KV key."""


class Entry(msgspec.Struct, frozen=True):
    """What the bucket holds under one key: its last write."""

    revision: int
    value: bytes | None  # None: deleted
    time: str = ""  # when the server stored it; empty: not known


class MeshRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a record is judged by."""

    cidr: Prefix  # the whole mesh
    subnet_prefix: int  # the length of a canonical record's subnet
    own_key: PublicKey
    other_own_keys: Set[PublicKey] = frozenset()  # that this installation had, or will have
    own_subnet: Prefix | None = None  # None: none claimed yet

    def is_own(self, key: PublicKey) -> bool:
        """Whether a public key is of this installation."""
        return key == self.own_key or key in self.other_own_keys


class AcceptedRecord(msgspec.Struct, frozen=True):
    """A record that stands, with what is derived from it once."""

    key: str
    revision: int
    record: PeerRecord
    subnet: Prefix
    canonical: bool  # in canonical form


class MeshPeer(msgspec.Struct, frozen=True):
    """One public key with all its accepted records, the latest first; or those that announce it as their next."""

    public_key: PublicKey
    records: tuple[AcceptedRecord, ...]

    @property
    def name(self) -> str:
        """The name in the latest record; any string, unchecked: escape it before you print it."""
        return self.records[0].record.name

    @property
    def predecessor(self) -> PublicKey | None:
        """The key that the peer has until it has this one; None: it has this one."""
        present = self.records[0].record.public_key
        return None if present == self.public_key else present

    @property
    def allowed_ips(self) -> frozenset[Prefix]:
        """Every subnet that the peer has claimed; none as long as the key is not its own yet."""
        return frozenset(a.subnet for a in self.records if a.record.public_key == self.public_key)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """Where to try the peer, best first; the latest record's come first."""
        return tuple(dict.fromkeys(e for accepted in self.records for e in accepted.record.candidates))


class QuarantinedRecord(msgspec.Struct, frozen=True):
    """A record that is not accepted, and why; it harms nobody else."""

    key: str
    revision: int
    reason: str


class MeshView:
    """The accepted peers and the quarantined records of a bucket, kept up to date key by key."""

    def __init__(self, rules: MeshRules) -> None:
        self.rules = rules
        self.peers: dict[PublicKey, MeshPeer] = {}  # our own public key is never among them
        self.on_device: dict[PublicKey, MeshPeer] = {}  # the peers, and beside them the keys they will have next
        self.quarantined: dict[str, QuarantinedRecord] = {}
        self.own_records: dict[str, AcceptedRecord] = {}  # records that carry our public key
        self._accepted: dict[str, AcceptedRecord] = {}
        self._noncanonical: dict[str, AcceptedRecord] = {}  # valid but not canonical, accepted or not
        self._records_of: dict[PublicKey, dict[str, AcceptedRecord]] = {}
        self._announcing: dict[PublicKey, dict[str, AcceptedRecord]] = {}  # by the next public key
        self._held = PrefixIndex()
        if rules.own_subnet:
            self._held.add(rules.own_subnet, LOCAL_NODE)

    def update(self, changes: Mapping[str, Entry]) -> set[PublicKey]:
        """Fold in what changed in the bucket; return the keys of `on_device` that are new, changed or gone.

        One canonical record costs O(log n): it can overlap no other canonical one. Others are few (0.3.0 accepts
        any form), and all of them are settled anew whenever anything changes.
        """
        changes = {key: entry for key, entry in changes.items() if key.startswith(PEER_KEYS)}
        unsettled = changes.keys() | self._noncanonical.keys()
        before = {key: self._evict(key) for key in unsettled}
        valid = [judged for key, entry in changes.items() if (judged := self._judge(key, entry))]
        valid += [accepted for key, accepted in self._noncanonical.items() if key not in changes]
        self._noncanonical |= {accepted.key: accepted for accepted in valid if not accepted.canonical}
        for accepted in sorted(valid, key=lambda a: (not a.canonical, a.key)):
            self._admit(accepted)
        return self._refresh(before)

    def noncanonical_overlap(self, subnet: Prefix) -> AcceptedRecord | None:
        """Return somebody else's record of another form that is accepted and holds some of `subnet`; None: nobody's."""
        holder = self._accepted.get(self._held.holder(subnet) or LOCAL_NODE)
        others = holder and not self.rules.is_own(holder.record.public_key) and not holder.canonical
        return holder if others else None

    def is_free(self, subnet: Prefix) -> bool:
        """Whether neither an accepted record nor our own holds any of `subnet`."""
        return self._held.holder(subnet) is None

    @property
    def accepted(self) -> Collection[str]:
        """The KV keys of the records that are accepted, but for our own."""
        return self._accepted.keys()

    @property
    def noncanonical(self) -> Collection[str]:
        """The KV keys of valid records in other forms, which any change may accept or quarantine."""
        return self._noncanonical.keys()

    def subnets(self) -> frozenset[Prefix]:
        """Every subnet that an accepted record holds."""
        return frozenset(accepted.subnet for accepted in self._accepted.values())

    def _judge(self, key: str, entry: Entry) -> AcceptedRecord | None:
        """Return the record if it is valid by itself; a bad one is quarantined."""
        self._noncanonical.pop(key, None)
        if entry.value is None:
            return None
        try:
            record = decode_record(key, entry.value)
            subnet = record.subnet
            if not self.rules.cidr.covers(subnet):
                raise RecordError(f"{subnet} lies outside the mesh {self.rules.cidr}")
        except RecordError as error:
            self.quarantined[key] = QuarantinedRecord(key, entry.revision, str(error))
            return None
        canonical = subnet.length == self.rules.subnet_prefix and str(subnet) == record.allowed_ip
        return AcceptedRecord(key, entry.revision, record, subnet, canonical)

    def _admit(self, accepted: AcceptedRecord) -> None:
        """Accept a valid record, unless what it claims is held by a record that comes first."""
        ours = self.rules.is_own(accepted.record.public_key)
        if ours:
            self.own_records[accepted.key] = accepted
        if ours and accepted.subnet == self.rules.own_subnet and accepted.canonical:
            return  # our own record: its subnet is held already
        holder = self._held.holder(accepted.subnet)
        if holder is not None:
            reason = f"{accepted.subnet} overlaps {self._described(holder)}"
            self.quarantined[accepted.key] = QuarantinedRecord(accepted.key, accepted.revision, reason)
            return
        self._held.add(accepted.subnet, accepted.key)
        self._accepted[accepted.key] = accepted
        for records, public_key in self._told_by(accepted):
            records.setdefault(public_key, {})[accepted.key] = accepted

    def _told_by(self, accepted: AcceptedRecord) -> Iterator[tuple[dict[PublicKey, dict[str, AcceptedRecord]], PublicKey]]:
        """Yield the keys that a record tells of, each with the records it is to be found among."""
        yield self._records_of, accepted.record.public_key
        if accepted.record.next_public_key:
            yield self._announcing, accepted.record.next_public_key

    def _described(self, holder: str) -> str:
        if holder == LOCAL_NODE:
            return f"our own subnet {self.rules.own_subnet}"
        return f"{self._accepted[holder].record.allowed_ip} of {self._accepted[holder].record.name!r}"

    def _evict(self, key: str) -> AcceptedRecord | None:
        """Forget what was decided about a key; return its record if it was accepted."""
        self.quarantined.pop(key, None)
        self.own_records.pop(key, None)
        accepted = self._accepted.pop(key, None)
        if accepted:
            self._held.discard(accepted.subnet)
            for records, public_key in self._told_by(accepted):
                del records[public_key][key]
                if not records[public_key]:
                    del records[public_key]
        return accepted

    def _refresh(self, before: Mapping[str, AcceptedRecord | None]) -> set[PublicKey]:
        """Rebuild the peers whose accepted records are not what they were; return the keys that this bears on."""
        pairs = [(old, self._accepted.get(key)) for key, old in before.items()]
        changed = (accepted for old, new in pairs if old != new for accepted in (old, new) if accepted)
        told = {public_key for accepted in changed for _, public_key in self._told_by(accepted)}
        return {key for key in told if not self.rules.is_own(key) and self._rebuild(key)}

    def _rebuild(self, public_key: PublicKey) -> bool:
        """Settle what a key is: somebody's, or announced, or neither; return whether it was anything else before."""
        before = self.on_device.get(public_key)
        peer = _peer(public_key, self._records_of.get(public_key))
        shown = peer or _peer(public_key, self._announcing.get(public_key))
        _put(self.peers, public_key, peer)
        _put(self.on_device, public_key, shown)
        return shown != before


def _peer(public_key: PublicKey, records: Mapping[str, AcceptedRecord] | None) -> MeshPeer | None:
    latest_first = sorted(records.values(), key=lambda a: a.revision, reverse=True) if records else ()
    return MeshPeer(public_key, tuple(latest_first)) if latest_first else None


def _put(peers: dict[PublicKey, MeshPeer], public_key: PublicKey, peer: MeshPeer | None) -> None:
    if peer:
        peers[public_key] = peer
    else:
        peers.pop(public_key, None)
