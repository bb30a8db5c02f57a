"""The record that the bucket should have for this node, and how the followed bucket contradicts it. No I/O."""

from collections.abc import Mapping

from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.policy import ClaimAction, Identity, decide_claim, other_records
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import Entry, MeshView


class SelfRecord:
    """This node's record, with the keys, the run and the addresses of this host that it names.

    `record` is what the bucket should have for this node; None: no subnet is claimed.
    """

    def __init__(self, node: LocalNode, saved_claim: SavedClaim, identity: Identity) -> None:
        self.record: PeerRecord | None = None
        self.identity = identity
        self.starting = True  # this run has not claimed anything yet
        self._node = node
        self._saved_claim = saved_claim
        self._advertised: tuple[str, ...] = ()  # where peers reach this host, best first
        self._has_moved = False  # the record has other addresses now, and was not written yet

    def at(self, private_address: str) -> PeerRecord:
        """Return this node's record for a private address, whether that is claimed or not."""
        return self._node.record(self.identity, private_address, self._advertised)

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

    def decide(self, record: PeerRecord, table: Mapping[str, Entry]) -> ClaimAction:
        """Return what to do about what the followed bucket has under the KV key of `record`."""
        found, was_claimed = table.get(record.key), self._saved_claim.is_of(record.subnet)
        return decide_claim(found, record, self.identity, starting=self.starting, was_claimed=was_claimed).action

    def may_resume(self, record: PeerRecord, table: Mapping[str, Entry], view: MeshView) -> bool:
        """Return whether the followed bucket shows no other node at the subnet of `record`."""
        free = self.decide(record, table) in {ClaimAction.KEEP, ClaimAction.WRITE}
        return free and view.noncanonical_overlap(record.subnet) is None

    def earlier_records(self, view: MeshView) -> list[str]:
        """Return the KV keys of this installation's other records."""
        others = other_records(view.own_records.values(), self.record, self.identity, known=True)
        return sorted(found.key for found in others)

    def clone_records(self, view: MeshView, claimed_at: int) -> list[str]:
        """Return the KV keys of records with this node's keys that another installation wrote after this revision."""
        others = other_records(view.own_records.values(), self.record, self.identity, known=False)
        return sorted(found.key for found in others if found.revision > claimed_at)
