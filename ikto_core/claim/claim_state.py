"""Whether this run holds a claim, and an error that ends it. No I/O."""

from collections.abc import Callable

from ikto_core.errors import AddressInUseError
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import MeshView


class ClaimState:
    """Under which KV key this run has its record in the bucket.

    Args:
        on_change: Called with the KV key whenever it changes; with "" when the claim is released.

    """

    def __init__(self, on_change: Callable[[str], None] = lambda _: None) -> None:
        self._on_change = on_change
        self._key = ""  # empty: this run holds no claim

    @property
    def is_held(self) -> bool:
        """Whether this run holds a claim."""
        return bool(self._key)

    def held(self, key: str) -> bool:
        """Note that the record is in the bucket; return whether the KV key is another than before."""
        moved = self._key != key
        self._key = key
        if moved:
            self._on_change(key)
        return moved

    def released(self) -> None:
        """Note that this node holds no claim any more."""
        self._key = ""
        self._on_change("")


def refuse_overlap(view: MeshView, record: PeerRecord) -> None:
    """Raise AddressInUseError if a record of another form overlaps: the lock on the KV key does not cover that."""
    if holder := view.noncanonical_overlap(record.subnet):
        raise AddressInUseError(
            f"{record.allowed_ip} overlaps {holder.record.allowed_ip} of {holder.record.name!r}",
            hint='choose another private_address, or "auto"',
        )
