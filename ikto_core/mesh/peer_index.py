"""The accepted records by the public keys that they name, and the peers that they form."""

from collections.abc import Mapping

import msgspec

from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.subnet_contest import Rank
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey


class AcceptedRecord(msgspec.Struct, frozen=True, gc=False):
    """A valid record, with the values derived from it once."""

    key: str
    revision: int
    record: PeerRecord
    subnet: Prefix
    canonical: bool  # the network address with the prefix length of the mesh
    proved: bool = False  # the owner of its public key has signed it

    @property
    def rank(self) -> Rank:
        """The place among the records that want a subnet: canonical ones first, then proved ones."""
        return not self.canonical, not self.proved, self.key

    @property
    def label(self) -> str:
        """What is said about the record where another one overlaps it."""
        return f"{self.record.allowed_ip} of {self.record.name!r}"

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """The public keys that the record names: its own and, if it announces one, the next."""
        record = self.record
        return (record.public_key, record.next_public_key) if record.next_public_key else (record.public_key,)


class MeshPeer(msgspec.Struct, frozen=True, gc=False):
    """A public key with all its accepted records, the latest first; or a next key with the records that announce it."""

    public_key: PublicKey
    records: tuple[AcceptedRecord, ...]

    @property
    def name(self) -> str:
        """The name in the latest record. It may be any string: escape it before you print it."""
        return self.records[0].record.name

    @property
    def draining(self) -> bool:
        """Whether the latest record says that the peer is about to leave."""
        return self.records[0].record.draining

    @property
    def predecessor(self) -> PublicKey | None:
        """The present key of a peer that announces this key as its next one; None: this is its present key."""
        present_key = self.records[0].record.public_key
        return None if present_key == self.public_key else present_key

    @property
    def allowed_ips(self) -> frozenset[Prefix]:
        """Every subnet that the peer has claimed under this key; empty for a next key."""
        records = self.records
        if len(records) == 1 and records[0].record.public_key == self.public_key:  # as almost always
            return frozenset((records[0].subnet,))
        return frozenset(a.subnet for a in records if a.record.public_key == self.public_key)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoint candidates of the peer, those of the latest record first."""
        if len(self.records) == 1 and not self.records[0].record.endpoints:  # as almost always
            return self.records[0].record.candidates
        return tuple(dict.fromkeys(e for accepted in self.records for e in accepted.record.candidates))


RecordsByKey = dict[PublicKey, AcceptedRecord | dict[str, AcceptedRecord]]
"""The records that name a public key. Almost always that is one, and a dictionary of it would take 200 bytes."""


class PeerIndex:
    """The accepted records, by the public keys that they name."""

    def __init__(self) -> None:
        self._records_of: RecordsByKey = {}
        self._announcing: RecordsByKey = {}  # by next public key

    def add(self, accepted: AcceptedRecord) -> None:
        """List a record under the public keys that it names."""
        _add(self._records_of, accepted.record.public_key, accepted)
        if accepted.record.next_public_key:
            _add(self._announcing, accepted.record.next_public_key, accepted)

    def discard(self, accepted: AcceptedRecord) -> None:
        """Remove a record that was added."""
        _discard(self._records_of, accepted.record.public_key, accepted)
        if accepted.record.next_public_key:
            _discard(self._announcing, accepted.record.next_public_key, accepted)

    def peer(self, public_key: PublicKey) -> MeshPeer | None:
        """Return the peer with this public key; None if there is none."""
        return _build_peer(public_key, self._records_of.get(public_key))

    def announced(self, public_key: PublicKey) -> MeshPeer | None:
        """Return the next key of a peer, with the records that announce it; None if none does."""
        return _build_peer(public_key, self._announcing.get(public_key))


def _add(index: RecordsByKey, public_key: PublicKey, accepted: AcceptedRecord) -> None:
    known = index.setdefault(public_key, accepted)
    if isinstance(known, dict):
        known[accepted.key] = accepted
    elif known is not accepted:
        index[public_key] = {known.key: known, accepted.key: accepted}


def _discard(index: RecordsByKey, public_key: PublicKey, accepted: AcceptedRecord) -> None:
    known = index[public_key]
    if isinstance(known, dict):
        del known[accepted.key]
    if isinstance(known, AcceptedRecord) or not known:
        del index[public_key]


def _build_peer(
    public_key: PublicKey, records: AcceptedRecord | Mapping[str, AcceptedRecord] | None
) -> MeshPeer | None:
    if records is None:
        return None
    if isinstance(records, AcceptedRecord):
        return MeshPeer(public_key, (records,))
    return MeshPeer(public_key, tuple(sorted(records.values(), key=lambda a: a.revision, reverse=True)))
