"""Whether this node's claim is held, since which revision, and the errors that end it. No I/O."""

from collections.abc import Callable

from ikto_core.claim.claimant import ClonedError
from ikto_core.errors import AddressInUseError
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import Entry, MeshView


class ClaimState:
    """Under which KV key the own record is held, and since which revision of which stream.

    Args:
        on_change: Called with the KV key whenever it changes; with "" when the claim is released.

    """

    def __init__(self, on_change: Callable[[str], None] = lambda _: None) -> None:
        self.claimed_at = 0  # revision at which the own record was first written under this key
        self._on_change = on_change
        self._key = ""  # empty: this run holds no claim
        self._revision = 0  # of the own record
        self._stream = ""

    def held(self, key: str, revision: int, stream: str) -> bool:
        """Note that the record is in the bucket at this revision; return whether the KV key is another than before."""
        moved = self._key != key
        self.claimed_at = revision if moved else min(revision, self.claimed_at)
        self._key, self._revision, self._stream = key, revision, stream
        if moved:
            self._on_change(key)
        return moved

    def released(self) -> None:
        """Note that this node holds no claim any more."""
        self._key = ""
        self._on_change("")

    def is_older_than(self, entry: Entry, stream: str) -> bool:
        """Return whether the own record is older than an entry; revisions of different streams can't be compared."""
        return stream != self._stream or entry.revision > self._revision


def refuse_clones(keys: list[str]) -> None:
    """Raise ClonedError if a copy of this machine has claimed another subnet, under such a key, after this node."""
    for key in keys:
        raise ClonedError(f"a copy of this machine runs with this node's private key (its record: {key})")


def refuse_overlap(view: MeshView, record: PeerRecord) -> None:
    """Raise AddressInUseError if a record of another form overlaps: the lock on the KV key does not cover that."""
    if holder := view.noncanonical_overlap(record.subnet):
        raise AddressInUseError(
            f"{record.allowed_ip} overlaps {holder.record.allowed_ip} of {holder.record.name!r}",
            hint='choose another private_address, or "auto"',
        )
