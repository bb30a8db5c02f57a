"""Deletions after which nodes of Ikto 0.3.0 lack this node's peer until its record is written again. No I/O.

0.3.0 reads every record alike. If one is deleted, it removes the WireGuard peer with the public key that the record
named, whatever other records name that key. If the record had this node's subnet, its peer had taken the subnet from
this node's peer, and does not give it back. Either way the next write of this node's record makes the peer anew. Only
the owner of the key or the subnet writes: no deletion makes two nodes write, and no write makes anybody delete.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from ikto_core.mesh.proofs import owner_of
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.values.addressing import Prefix

AT_ONCE = 10
"""So many such deletions are followed by a write at once, as nodes accept as many changes of a record at once."""

EVERY_S = 10.0
"""After that there is one write for all deletions of this time: who writes and deletes without end causes no more."""


class LostPeer:
    """Notes the latest deletion; the own record must be newer than `revision`.

    Args:
        clock: Seconds; never goes back.

    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.revision = 0  # of the latest such deletion in the present history of the bucket; 0: there was none
        self._clock = clock
        self._histories = 0
        self._repaired = 0  # `revision` of the latest one after which the own record was written
        self._naming: set[str] = set()  # the KV keys whose record in 0.3.0 names one of this node's keys
        self._repaired_at: deque[float] = deque(maxlen=AT_ONCE)

    def note(
        self,
        changes: Mapping[str, Entry],
        histories: int,
        keys: frozenset[str],
        subnet: Prefix | None,
        view: MeshView,
    ) -> None:
        """Note the deletions among some changes of the followed bucket.

        Args:
            changes: The changed entries by KV key.
            histories: How often the bucket turned out to have another history. Revisions begin anew then.
            keys: This node's public keys, as text.
            subnet: Its own subnet; None: it has none.
            view: The mesh before these changes.

        """
        if histories != self._histories:
            self._histories, self.revision, self._repaired = histories, 0, 0
        names = [text.encode() for text in keys]
        for key, entry in changes.items():
            if entry.value is not None:
                self._note_record(key, entry.value, entry.revision, names)
            elif key in self._naming or (subnet and _had_part_of(subnet, key, view)):
                self._naming.discard(key)
                self.revision = max(self.revision, entry.revision)

    def written(self, revision: int) -> None:
        """Note that the leader has the own record at this revision."""
        if revision > self.revision > self._repaired:
            self._repaired = self.revision
            self._repaired_at.append(self._clock())

    def pause_s(self) -> float:
        """Return how long to wait before the own record is written again for this reason, in seconds."""
        if len(self._repaired_at) < AT_ONCE or self._clock() - self._repaired_at[0] > AT_ONCE * EVERY_S:
            return 0.0
        return max(0.0, self._repaired_at[-1] + EVERY_S - self._clock())

    def _note_record(self, key: str, value: bytes, revision: int, names: Sequence[bytes]) -> None:
        if any(name in value for name in names):
            self._naming.add(key)
        elif key in self._naming and owner_of(value) is not None:
            self._naming.discard(key)  # 0.3.0 goes on with the record before a value that it can't read
            self.revision = max(self.revision, revision)  # between two reads it may have been deleted, which nobody saw


def _had_part_of(subnet: Prefix, key: str, view: MeshView) -> bool:
    """Return whether the record under a KV key had a part of this subnet, or all of it.

    A wider record does not take the subnet away: WireGuard sends each packet by the longest prefix.
    """
    valid = view.valid_record(key)
    return valid is not None and subnet.covers(valid.subnet)
