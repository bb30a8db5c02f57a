"""The record that the bucket should have for this node, and how the followed bucket contradicts it. No I/O."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from ikto_core.claim.alarms import Alarms
from ikto_core.claim.holding import History, Holding
from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.lost_peer import LostPeer
from ikto_core.claim.policy import ClaimAction, ClaimContext, Hold, Identity, decide_claim, other_records, writer
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.disk.mesh_snapshot import MeshSnapshot
from ikto_core.mesh.peer_index import AcceptedRecord
from ikto_core.mesh.proofs import Proof, ProofIndex, owner_of
from ikto_core.mesh.records import PeerRecord, record_key
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.store.follower import Follower
from ikto_core.values.addressing import Endpoint


class SelfRecord:
    """This node's record, with the keys, the run and the addresses of this host that it names.

    `record` is what the bucket should have for this node; None: no subnet is claimed.
    """

    def __init__(
        self,
        node: LocalNode,
        saved_claim: SavedClaim,
        identity: Identity,
        proofs: ProofIndex,
        clock: Callable[[], float],
    ) -> None:
        self.record: PeerRecord | None = None
        self.identity = identity
        self.holding = Holding(clock)
        self.lost_peer = LostPeer(clock)
        self.starting = True  # this run has not claimed anything yet
        self._node = node
        self._saved_claim = saved_claim
        self._proofs = proofs
        self._first_serial = 0  # of this run's first record under its KV key
        self._claimed_at = 0  # revision of that record
        self._since = History(), 0  # the history of the bucket, and the revision of this run's first record in it
        self._advertised: tuple[str, ...] = ()  # where peers reach this host, best first
        self._has_moved = False  # the record has other addresses now, or begins to drain, and was not written yet
        self._draining = False

    def at(self, private_address: str) -> PeerRecord:
        """Return this node's record for a private address, whether that is claimed or not."""
        record = self._node.record(self.identity, private_address, self._advertised)
        return msgspec.structs.replace(record, draining=self._draining)

    def has_key(self, key: str) -> bool:
        """Return whether the record is the one under this KV key."""
        return self.record is not None and self.record.key == key

    def set_identity(self, identity: Identity) -> None:
        """Name these keys in the record from now on."""
        self.identity = identity
        self.record = self.record and identity.named(self.record)

    def advertise(self, addresses: tuple[str, ...]) -> bool:
        """Name these addresses of this host, IP literals, best first; return whether the record changed.

        Without any address the record keeps those that it has.
        """
        self._advertised = addresses or self._advertised
        moved = self.record and self._node.moved(self.record, self._advertised)
        if moved == self.record:
            return False
        self.record, self._has_moved = moved, True
        return True

    def set_endpoints(self, endpoints: tuple[Endpoint, ...]) -> bool:
        """Name these endpoints, best first, instead of those configured before; return whether the record changed."""
        self._node = msgspec.structs.replace(self._node, endpoints=endpoints)
        return self.advertise(self._advertised)

    def set_draining(self, draining: bool) -> None:
        """Say in the record from now on whether this node is about to leave."""
        self._draining = draining
        self.record = self.record and msgspec.structs.replace(self.record, draining=draining)
        self._has_moved = True

    def take_urgency(self) -> bool:
        """Return whether the next write is urgent: this run's first one, or the first since the host has moved."""
        has_moved, self._has_moved = self._has_moved, False
        return self.starting or has_moved

    def save_instance(self, view: MeshView) -> None:
        """Save this run's id and those of the records that it takes over, before the first write.

        After a crash the next run then recognises each of them as its own. This is done only once: otherwise two copies
        that start at the same time would save each other's ids.
        """
        if self.identity.instance not in self._saved_claim.instances:
            found = {accepted.record.instance for accepted in view.own_records.values()}
            self.identity = self.identity.after(found)
            self._saved_claim.add_instance(self.identity.instance, found)

    def claimed(self, record: PeerRecord, revision: int, bucket: Follower, *, had_owner: bool) -> None:
        """Note that the leader has `record` at this revision; `had_owner` as returned before the claim."""
        if not self.holding.has(record.key) or self.starting:
            self._first_serial, self._claimed_at = self._saved_claim.serial, revision
        self._claimed_at = min(self._claimed_at, revision)  # less in another history of the bucket
        self.lost_peer.written(revision)
        if self.starting or self._since[0] != _history(bucket):
            self._since = _history(bucket), revision
        self.holding.claimed(record.key, revision, _history(bucket), had_owner=had_owner)
        self.starting = False

    def had_owner(self, record: PeerRecord, bucket: Follower) -> bool:
        """Return whether the followed bucket shows that another node has, or had, the KV key of `record`."""
        found = bucket.table.get(record.key)
        owner = owner_of(found.value) if found and found.value else None
        return found is not None and not (owner and self.identity.owns_text(owner[0]))

    def context(self, record: PeerRecord, entry: Entry | None, bucket: Follower) -> ClaimContext:
        """Return where this run stands with the KV key of `record`, which has this entry."""
        key, hold = record.key, Hold.NONE
        if entry:
            hold = self.holding.hold(key, entry, _history(bucket), shown=bucket.table.get(key) == entry)
        return ClaimContext(
            starting=self.starting,
            was_claimed=self._saved_claim.is_of(record.subnet),
            require_proof=self._node.require_proof,
            hold=hold,
            first_serial=self._first_serial,
            older=entry is None or (since := self._first_revision(bucket)) is None or entry.revision <= since,
            peer_lost_at=self.lost_peer.revision,
        )

    def note_deletions(self, changes: Mapping[str, Entry], bucket: Follower, view: MeshView) -> None:
        """Note the deletions by which nodes of 0.3.0 lose this node's peer; `view`: the mesh before these changes."""
        keys = frozenset(key.text for key in (self.identity.public_key, *self.identity.other_keys))
        self.lost_peer.note(changes, bucket.histories, keys, self.record.subnet if self.record else None, view)

    def is_older_than(self, entry: Entry, bucket: Follower) -> bool:
        """Return whether the own record is older than an entry of the followed bucket, or of another history."""
        return self.holding.is_older_than(entry, _history(bucket))

    def decide(self, record: PeerRecord, bucket: Follower) -> ClaimAction:
        """Return what to do about what the followed bucket has under the KV key of `record`."""
        found, proof = bucket.table.get(record.key), self._proof(record, bucket)
        return decide_claim(found, record, self.identity, self.context(record, found, bucket), proof).action

    def resume(self, record: PeerRecord, bucket: Follower, view: MeshView) -> bool:
        """Use the subnet of `record` from now on, unless the followed bucket shows another node there; return whether.

        If it shows this node's signed record, this node holds the subnet, also before it has written it again.
        """
        if self.decide(record, bucket) is ClaimAction.IN_USE or view.noncanonical_overlap(record.subnet):
            return False
        self.record, proof = record, self._proof(record, bucket)
        if proof and self.identity.owns(proof.public_key):
            revision = bucket.table[record.key].revision
            self.holding.claimed(record.key, revision, _history(bucket), had_owner=False)
        return True

    def saved_in(self, snapshot: MeshSnapshot) -> MeshSnapshot:
        """Return a snapshot with what `restore` needs."""
        seen_s_ago, claimed_s_ago = self.holding.seen_s_ago(), self.holding.yields_since_s_ago()
        return msgspec.structs.replace(
            snapshot,
            own_seen_at=None if seen_s_ago is None else snapshot.saved_at - seen_s_ago,
            own_yields_since=None if claimed_s_ago is None else snapshot.saved_at - claimed_s_ago,
        )

    def restore(self, snapshot: MeshSnapshot, address: str, now: float) -> None:
        """Hold what an earlier run held at `address`, if its record was seen lately; `now`: seconds since the epoch."""
        seen_s_ago = -1.0 if snapshot.own_seen_at is None else now - snapshot.own_seen_at
        if seen_s_ago >= 0:  # or the clock has gone back
            key = record_key(str(self._node.subnet_of(address)))
            yields_since_s_ago = None if snapshot.own_yields_since is None else now - snapshot.own_yields_since
            self.holding.restore(key, snapshot.revision, snapshot.stream, seen_s_ago, yields_since_s_ago)

    def repair_pause_s(self, bucket: Follower) -> float:
        """Return how long to wait before the record is written again only so that nodes of 0.3.0 have the peer."""
        found = bucket.table.get(self.record.key) if self.record else None
        is_there = found is not None and found.value is not None and found.revision < self.lost_peer.revision
        return self.lost_peer.pause_s() if is_there else 0.0

    def earlier_records(self, own_records: Iterable[AcceptedRecord], bucket: Follower) -> list[str]:
        """Return the KV keys of this installation's other records."""
        since = self._first_revision(bucket)
        others = other_records(own_records, self.record, self.identity, known=True, since=since)
        return sorted(found.key for found in others)

    def clone_records(self, own_records: Iterable[AcceptedRecord]) -> list[str]:
        """Return the KV keys of records of copies: another installation has signed them after this run's claim."""
        if self.starting:
            return []
        strange = other_records(own_records, self.record, self.identity, known=False)
        later = (found for found in strange if found.revision > self._claimed_at)
        return sorted(found.key for found in later if found.proved and found.record.serial >= self._first_serial)

    def _proof(self, record: PeerRecord, bucket: Follower) -> Proof | None:
        """Return what the followed bucket proves under the KV key of `record`."""
        found = bucket.table.get(record.key)
        return self._proofs.result(record.key, found.value).proof if found and found.value else None

    def report_forgeries(self, changes: Mapping[str, Entry], bucket: Follower, view: MeshView, alarms: Alarms) -> None:
        """Report the changed records with this node's keys that neither this installation wrote nor the keys prove.

        A starting node takes over all that it finds: they may be from before it signed, or from 0.3.0.
        """
        if self.starting:
            return
        changed = (view.own_records[key] for key in changes if key in view.own_records)
        since = self._first_revision(bucket)
        for found in other_records(changed, self.record, self.identity, known=False, since=since):
            if not found.proved:
                alarms.report("record in this node's name without its proof", key=found.key, by=writer(found.record))

    def _first_revision(self, bucket: Follower) -> int | None:
        """Return the revision of this run's first record in the bucket's present history; None: it has none there."""
        history, revision = self._since
        return revision if not self.starting and history == _history(bucket) else None


def _history(bucket: Follower) -> History:
    return History(bucket.stream, bucket.histories)
