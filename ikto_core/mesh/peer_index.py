"""The accepted records by the public keys that they name, and the peers that they form."""

from collections.abc import Mapping

import msgspec

from ikto_core.mesh.records import PeerRecord
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey


class AcceptedRecord(msgspec.Struct, frozen=True):
    """A valid record, with the values derived from it once."""

    key: str
    revision: int
    record: PeerRecord
    subnet: Prefix
    canonical: bool  # the network address with the prefix length of the mesh
    proved: bool = False  # the owner of its public key has signed it

    @property
    def public_keys(self) -> tuple[PublicKey, ...]:
        """The public keys that the record names: its own and, if it announces one, the next."""
        return tuple(filter(None, (self.record.public_key, self.record.next_public_key)))


class MeshPeer(msgspec.Struct, frozen=True):
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
        return frozenset(a.subnet for a in self.records if a.record.public_key == self.public_key)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The endpoint candidates of the peer, those of the latest record first."""
        return tuple(dict.fromkeys(e for accepted in self.records for e in accepted.record.candidates))


class PeerIndex:
    """The accepted records, by the public keys that they name."""

    def __init__(self) -> None:
        self._records_of: dict[PublicKey, dict[str, AcceptedRecord]] = {}
        self._announcing: dict[PublicKey, dict[str, AcceptedRecord]] = {}  # by next public key

    def add(self, accepted: AcceptedRecord) -> None:
        """List a record under the public keys that it names."""
        for index, public_key in zip((self._records_of, self._announcing), accepted.public_keys, strict=False):
            index.setdefault(public_key, {})[accepted.key] = accepted

    def discard(self, accepted: AcceptedRecord) -> None:
        """Remove a record that was added."""
        for index, public_key in zip((self._records_of, self._announcing), accepted.public_keys, strict=False):
            del index[public_key][accepted.key]
            if not index[public_key]:
                del index[public_key]

    def peer(self, public_key: PublicKey) -> MeshPeer | None:
        """Return the peer with this public key; None if there is none."""
        return _build_peer(public_key, self._records_of.get(public_key))

    def announced(self, public_key: PublicKey) -> MeshPeer | None:
        """Return the next key of a peer, with the records that announce it; None if none does."""
        return _build_peer(public_key, self._announcing.get(public_key))


def _build_peer(public_key: PublicKey, records: Mapping[str, AcceptedRecord] | None) -> MeshPeer | None:
    latest_first = sorted(records.values(), key=lambda a: a.revision, reverse=True) if records else ()
    return MeshPeer(public_key, tuple(latest_first)) if latest_first else None
