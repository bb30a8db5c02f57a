"""An index of disjoint subnets of one address family that finds the owner of an overlapping subnet in O(log n)."""

from bisect import bisect_left, bisect_right

from ikto_core.values.addressing import Prefix


class PrefixIndex:
    """Disjoint subnets and their owners. Call `overlap_owner` before `add`: `add` does not check for overlaps."""

    def __init__(self) -> None:
        self._starts: list[bytes] = []  # sorted network addresses
        self._entries: dict[bytes, tuple[Prefix, str]] = {}  # subnet and owner by network address

    def add(self, subnet: Prefix, owner: str) -> None:
        """Assign `subnet` to `owner`; it must not overlap a subnet in the index."""
        self._starts.insert(bisect_left(self._starts, subnet.address), subnet.address)
        self._entries[subnet.address] = (subnet, owner)

    def discard(self, subnet: Prefix) -> None:
        """Remove a subnet that was added; KeyError if it is not in the index."""
        del self._entries[subnet.address]
        del self._starts[bisect_left(self._starts, subnet.address)]

    def overlap_owner(self, subnet: Prefix) -> str | None:
        """Return the owner of a subnet in the index that overlaps this one; None if there is none.

        The subnets are disjoint and sorted: if any of them overlaps, then the last one that starts before the end of
        `subnet` does.
        """
        position = bisect_right(self._starts, subnet.last)
        if position == 0:
            return None
        nearest, owner = self._entries[self._starts[position - 1]]
        return owner if nearest.overlaps(subnet) else None

    def __len__(self) -> int:
        return len(self._starts)
