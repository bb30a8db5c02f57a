"""Records with this node's keys under other KV keys: earlier ones are withdrawn, later ones show a copy of the machine.

No I/O but through the claimant.
"""

from collections.abc import Callable

from ikto_core.claim.claimant import Claimant, ClonedError
from ikto_core.claim.self_record import SelfRecord
from ikto_core.mesh.view import MeshView
from ikto_core.store.follower import Follower
from ikto_core.store.interfaces import RecordStore

WITHDRAWN_AT_ONCE = 16
"""So many earlier records are withdrawn before this node looks after its own record again: anybody can write records
that name its key, and to withdraw one takes three requests."""


class OtherRecords:
    """Finds these records in the followed bucket.

    Args:
        own: This node's record.
        claimant: Withdraws records.
        bucket: The followed bucket.
        view: Returns the mesh as accepted by this node.

    """

    def __init__(self, own: SelfRecord, claimant: Claimant, bucket: Follower, view: Callable[[], MeshView]) -> None:
        self._own = own
        self._claimant = claimant
        self._bucket = bucket
        self._view = view

    def earlier(self) -> list[str]:
        """Return the KV keys of the records to withdraw, without those that this node may not write."""
        earlier = self._own.earlier_records(self._view().own_records.values(), self._bucket)
        return [key for key in earlier if key not in self._claimant.denied]

    def has_new(self) -> bool:
        """Return whether there are any that came or changed since the last call."""
        new = self._view().take_new_own_records()
        return bool(self._own.earlier_records(new, self._bucket) or self._own.clone_records(new))

    def refuse_clones(self) -> None:
        """Raise ClonedError if a copy of this machine has claimed another subnet after this node."""
        for key in self._clones():
            raise ClonedError(f"a copy of this machine runs with this node's private key (its record: {key})")

    async def withdraw(self, store: RecordStore) -> bool:
        """Delete earlier records; return whether to look again: the followed bucket shows some, or a copy.

        It may lose a deletion before it shows it. Raises NatsError if the bucket can't be read or written.
        """
        for key in self.earlier()[:WITHDRAWN_AT_ONCE]:
            await self._claimant.withdraw(store, key)
        return bool(self.earlier() or self._clones())

    def _clones(self) -> list[str]:
        return self._own.clone_records(self._view().own_records.values())
