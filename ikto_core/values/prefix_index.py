"""Indexes of subnets of one address family that find the subnets that overlap another one without looking at all."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Set

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

    def overlap_owners(self, subnet: Prefix) -> Iterator[str]:
        """Yield the owners of all subnets in the index that overlap this one; the index must not change meanwhile."""
        for position in range(bisect_right(self._starts, subnet.last) - 1, -1, -1):
            nearest, owner = self._entries[self._starts[position]]
            if not nearest.overlaps(subnet):
                return
            yield owner

    def __len__(self) -> int:
        return len(self._starts)


class OverlapIndex:
    """Subnets that may overlap each other, each with any number of owners."""

    def __init__(self) -> None:
        self._owners: dict[Prefix, set[str]] = {}
        self._sorted: list[Prefix] = []  # by network address, the larger subnet first
        self._lengths: dict[int, int] = {}  # number of subnets of each length

    def add(self, subnet: Prefix, owner: str) -> None:
        """Add an owner of a subnet."""
        if subnet not in self._owners:
            self._owners[subnet] = set()
            self._sorted.insert(bisect_left(self._sorted, subnet), subnet)
            self._lengths[subnet.length] = self._lengths.get(subnet.length, 0) + 1
        self._owners[subnet].add(owner)

    def discard(self, subnet: Prefix, owner: str) -> None:
        """Remove an owner that was added; KeyError if it is not in the index."""
        self._owners[subnet].remove(owner)
        if not self._owners[subnet]:
            del self._owners[subnet]
            del self._sorted[bisect_left(self._sorted, subnet)]
            self._lengths[subnet.length] -= 1
            if not self._lengths[subnet.length]:
                del self._lengths[subnet.length]

    def overlapping(self, subnet: Prefix) -> list[Prefix]:
        """Return the subnets that overlap this one: those around it, then it and those inside it."""
        if not self._sorted:
            return []
        around = (Prefix.of(subnet.address, length) for length in self._lengths if length < subnet.length)
        found = [other for other in around if other in self._owners]
        end, position = subnet.last, bisect_left(self._sorted, subnet)
        while position < len(self._sorted) and self._sorted[position].address <= end:
            found.append(self._sorted[position])
            position += 1
        return found

    def owners(self, subnet: Prefix) -> Set[str]:
        """Return the owners of a subnet in the index."""
        return self._owners[subnet]
