"""Indexes of subnets of one address family that find the subnets that overlap another one without looking at all."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Set
from itertools import takewhile
from typing import Generic, TypeVar

from ikto_core.values.addressing import Prefix

T = TypeVar("T", bytes, Prefix)

MOST_PER_RUN = 512
"""A longer run is cut in two: so to add a value moves a few hundred others, however many there are."""


class SortedValues(Generic[T]):
    """Different values in ascending order, in runs: none of its methods takes time in proportion to their number."""

    def __init__(self) -> None:
        self._runs: list[list[T]] = []  # none is empty
        self._firsts: list[T] = []  # of each run
        self._size = 0

    def add(self, value: T) -> None:
        """Add a value that is not there."""
        self._size += 1
        if not self._runs:
            self._runs, self._firsts = [[value]], [value]
            return
        number = max(bisect_right(self._firsts, value) - 1, 0)
        run = self._runs[number]
        insort(run, value)
        self._firsts[number] = run[0]
        if len(run) > MOST_PER_RUN:
            half = len(run) // 2
            self._runs[number : number + 1] = [run[:half], run[half:]]
            self._firsts.insert(number + 1, run[half])

    def discard(self, value: T) -> None:
        """Remove a value that is there."""
        self._size -= 1
        number = bisect_right(self._firsts, value) - 1
        run = self._runs[number]
        del run[bisect_left(run, value)]
        if run:
            self._firsts[number] = run[0]
        else:
            del self._runs[number], self._firsts[number]

    def at_most(self, value: T) -> T | None:
        """Return the greatest value up to and with this one; None if there is none."""
        number = bisect_right(self._firsts, value) - 1
        if number < 0:
            return None
        run = self._runs[number]
        return run[bisect_right(run, value) - 1]

    def down_from(self, value: T) -> Iterator[T]:
        """Yield the values up to and with this one, the greatest first; none may be added or removed meanwhile."""
        number = bisect_right(self._firsts, value) - 1
        position = bisect_right(self._runs[number], value) if number >= 0 else 0
        while number >= 0:
            run = self._runs[number]
            for index in range(position - 1, -1, -1):
                yield run[index]
            number -= 1
            position = len(self._runs[number])

    def up_from(self, value: T) -> Iterator[T]:
        """Yield the values from this one on, the least first; none may be added or removed meanwhile."""
        number = max(bisect_right(self._firsts, value) - 1, 0)
        position = bisect_left(self._runs[number], value) if self._runs else 0
        while number < len(self._runs):
            run = self._runs[number]
            for index in range(position, len(run)):
                yield run[index]
            number, position = number + 1, 0

    def __len__(self) -> int:
        return self._size


class PrefixIndex:
    """Disjoint subnets and their owners. Call `overlap_owner` before `add`: `add` does not check for overlaps."""

    def __init__(self) -> None:
        self._starts = SortedValues[bytes]()  # network addresses
        self._entries: dict[bytes, tuple[Prefix, str]] = {}  # subnet and owner by network address

    def add(self, subnet: Prefix, owner: str) -> None:
        """Assign `subnet` to `owner`; it must not overlap a subnet in the index."""
        self._starts.add(subnet.address)
        self._entries[subnet.address] = (subnet, owner)

    def discard(self, subnet: Prefix) -> None:
        """Remove a subnet that was added; KeyError if it is not in the index."""
        del self._entries[subnet.address]
        self._starts.discard(subnet.address)

    def overlap_owner(self, subnet: Prefix) -> str | None:
        """Return the owner of a subnet in the index that overlaps this one; None if there is none.

        The subnets are disjoint and sorted: if any of them overlaps, then the last one that starts before the end of
        `subnet` does.
        """
        start = self._starts.at_most(subnet.last)
        if start is None:
            return None
        nearest, owner = self._entries[start]
        return owner if nearest.overlaps(subnet) else None

    def overlap_owners(self, subnet: Prefix) -> Iterator[str]:
        """Yield the owners of all subnets in the index that overlap this one; the index must not change meanwhile."""
        for start in self._starts.down_from(subnet.last):
            nearest, owner = self._entries[start]
            if not nearest.overlaps(subnet):
                return
            yield owner

    def __len__(self) -> int:
        return len(self._starts)


class OverlapIndex:
    """Subnets that may overlap each other, each with any number of owners."""

    def __init__(self) -> None:
        self._owners: dict[Prefix, set[str]] = {}
        self._sorted = SortedValues[Prefix]()  # by network address, the larger subnet first
        self._lengths: dict[int, int] = {}  # number of subnets of each length

    def add(self, subnet: Prefix, owner: str) -> None:
        """Add an owner of a subnet."""
        if subnet not in self._owners:
            self._owners[subnet] = set()
            self._sorted.add(subnet)
            self._lengths[subnet.length] = self._lengths.get(subnet.length, 0) + 1
        self._owners[subnet].add(owner)

    def discard(self, subnet: Prefix, owner: str) -> None:
        """Remove an owner that was added; KeyError if it is not in the index."""
        self._owners[subnet].remove(owner)
        if not self._owners[subnet]:
            del self._owners[subnet]
            self._sorted.discard(subnet)
            self._lengths[subnet.length] -= 1
            if not self._lengths[subnet.length]:
                del self._lengths[subnet.length]

    def overlapping(self, subnet: Prefix) -> list[Prefix]:
        """Return the subnets that overlap this one: those around it, then it and those inside it."""
        if not self._owners:
            return []
        around = [Prefix.of(subnet.address, length) for length in self._lengths if length < subnet.length]
        found = [other for other in around if other in self._owners]
        found.extend(takewhile(lambda other: subnet.contains(other.address), self._sorted.up_from(subnet)))
        return found

    def owners(self, subnet: Prefix) -> Set[str]:
        """Return the owners of a subnet in the index."""
        return self._owners[subnet]
