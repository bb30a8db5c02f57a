"""Our claim as it stands: since when, and what of the bucket speaks against it. No I/O."""

from collections.abc import Callable

from ikto_core.claim.claimant import ClonedError
from ikto_core.claim.policy import Identity, elsewhere
from ikto_core.errors import AddressInUseError
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import Entry, MeshView


class ClaimState:
    """Where our record stands, and since which revision of which stream.

    Args:
        on_change: Called with the key whenever that is another one; empty: the record stands nowhere.

    """

    def __init__(self, on_change: Callable[[str], None] = lambda _: None) -> None:
        self._on_change = on_change
        self._key = ""  # empty: no claim of this run has stood yet, or it fell
        self._revision = 0  # of the record as it stands
        self._claimed_at = 0  # the revision of our record when it first stood
        self._stream = ""

    def held(self, key: str, revision: int, stream: str) -> bool:
        """Note that our record stands; return whether none stood under this key before."""
        moved = self._key != key
        self._claimed_at = revision if moved else min(revision, self._claimed_at)
        self._key, self._revision, self._stream = key, revision, stream
        if moved:
            self._on_change(key)
        return moved

    def released(self) -> None:
        """Note that our record is ours no more."""
        self._key = ""
        self._on_change("")

    def precedes(self, entry: Entry, stream: str) -> bool:
        """Whether our record is older than an entry of this stream; revisions of two streams can't be compared."""
        return stream != self._stream or entry.revision > self._revision

    def elsewhere(self, view: MeshView, record: PeerRecord | None, identity: Identity, *, ours: bool) -> list[str]:
        """Return where other records with our public key stand: ours, or those that a copy of us wrote after ours."""
        others = elsewhere(view.own_records.values(), record, identity, ours=ours)
        return sorted(found.key for found in others if ours or found.revision > self._claimed_at)


def check_for_clones(elsewhere: list[str]) -> None:
    """Let a copy of this machine be that claimed another address, under such a key, later than we claimed ours."""
    for key in elsewhere:
        raise ClonedError(f"a copy of this machine runs with our private key (its record: {key})")


def refuse_overlap(view: MeshView, record: PeerRecord) -> None:
    """Raise AddressInUseError if a record of another form holds some of ours: no lock guards what is under its key."""
    if holder := view.irregular_holder(record.subnet):
        raise AddressInUseError(
            f"{record.allowed_ip} overlaps {holder.record.allowed_ip} of {holder.record.name!r}",
            hint='choose another private_address, or "auto"',
        )
