"""A set of disjoint subnets of one address family that answers "who holds any of this?" in O(log n)."""

from bisect import bisect_left, bisect_right

from ikto_core.values.addressing import Prefix


class PrefixIndex:
    """Disjoint subnets and their owners; the caller checks `holder` before it calls `add`."""

    def __init__(self) -> None:
        self._starts: list[bytes] = []  # sorted network addresses
        self._held: dict[bytes, tuple[Prefix, str]] = {}

    def add(self, subnet: Prefix, owner: str) -> None:
        """Give `subnet`, which overlaps no other, to `owner`."""
        self._starts.insert(bisect_left(self._starts, subnet.address), subnet.address)
        self._held[subnet.address] = (subnet, owner)

    def discard(self, subnet: Prefix) -> None:
        """Forget a subnet that was added."""
        del self._held[subnet.address]
        del self._starts[bisect_left(self._starts, subnet.address)]

    def holder(self, subnet: Prefix) -> str | None:
        """Return the owner of a held subnet that overlaps this one, None if there is none.

        Held subnets are disjoint and sorted, so if any overlaps, the last one that starts within or before does.
        """
        position = bisect_right(self._starts, subnet.last)
        if position == 0:
            return None
        held, owner = self._held[self._starts[position - 1]]
        return owner if held.overlaps(subnet) else None

    def __len__(self) -> int:
        return len(self._starts)
