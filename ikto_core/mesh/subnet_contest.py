"""Who gets a subnet if the subnets of several records overlap: the contender with the lowest rank.

Pure and incremental: only contenders that overlap a change are decided again. The result is the same in whatever order
the contenders appear: in ascending order of rank, each wins if it overlaps no earlier winner.

The first member of a rank says whether others can displace a contender. Those that can't (False) are settled: they must
not overlap each other, except the one with the key FIRST, whose rank must be the lowest of all.
"""

from heapq import heappop, heappush
from typing import Protocol

from ikto_core.values.addressing import Prefix
from ikto_core.values.prefix_index import OverlapIndex, PrefixIndex

FIRST = ""

Rank = tuple[bool, bool, str]


class Contender(Protocol):
    """Somebody who wants to have a subnet. None of the members may change."""

    @property
    def subnet(self) -> Prefix:
        """The subnet."""
        ...

    @property
    def rank(self) -> Rank:
        """The place in the order; unique, and lower ones win."""
        ...

    @property
    def label(self) -> str:
        """What a loser is told about a winner."""
        ...


class SubnetContest:
    """The contenders, by any unique key, and which of them have won."""

    def __init__(self) -> None:
        self._contenders: dict[str, Contender] = {}
        self._winners = PrefixIndex()
        self._winning: set[str] = set()
        self._open = OverlapIndex()  # the contenders that are not settled, and the settled ones that have lost
        self._beaten: set[str] = set()  # settled contenders that have lost
        self._undecided: set[str] = set()
        self._reconsidered: set[Prefix] = set()  # whose owners are all undecided, or were decided just now

    def set(self, key: str, contender: Contender | None) -> None:
        """Enter, replace or (None) withdraw a contender; `decide` says what follows from it."""
        before = self._contenders.get(key)
        if before is not None and not (contender and _is_same(before, contender)):
            self._withdraw(key, before)
            before = None
        if contender is not None:
            self._undecided.add(key)
            self._contenders[key] = contender
            if before is None and contender.rank[0]:
                self._open.add(contender.subnet, key)

    def decide(self) -> dict[str, str | None]:
        """Decide what the changes since the last call affect; return who stands in the way of each (None: it won)."""
        decisions: dict[str, str | None] = {}
        if FIRST in self._undecided:
            self._undecided.discard(FIRST)
            decisions[FIRST] = self._decide(FIRST)
        queued, self._undecided = self._undecided, set()
        waiting: list[tuple[Rank, str]] = []
        for key in queued:
            rank = self._contenders[key].rank
            if rank[0]:
                heappush(waiting, (rank, key))
            else:  # its order among the settled ones does not matter
                decisions[key] = self._decide(key)
        while waiting or self._undecided:
            # What becomes undecided meanwhile has a higher rank than what was just decided, or is decided as before.
            for key in self._undecided - queued:
                heappush(waiting, (self._contenders[key].rank, key))
            queued |= self._undecided
            self._undecided.clear()
            if waiting:
                _, key = heappop(waiting)
                decisions[key] = self._decide(key)
        self._reconsidered.clear()
        return decisions

    def winner(self, subnet: Prefix) -> str | None:
        """Return a winner that overlaps a subnet; None if there is none."""
        return self._winners.overlap_owner(subnet)

    def label(self, key: str) -> str:
        """Return the label of a contender."""
        return self._contenders[key].label

    def _withdraw(self, key: str, contender: Contender) -> None:
        del self._contenders[key]
        if contender.rank[0] or key in self._beaten:
            self._open.discard(contender.subnet, key)
            self._beaten.discard(key)
        if key in self._winning:
            self._lose(key, contender)
        self._undecided.discard(key)

    def _decide(self, key: str) -> str | None:
        """Let a contender win or lose; return the better one that it overlaps."""
        contender, displaced = self._contenders[key], list[str]()
        rank, subnet = contender.rank, contender.subnet
        if self._winners.overlap_owner(subnet) is not None:
            for other in self._winners.overlap_owners(subnet):
                if other == key:
                    continue
                if self._contenders[other].rank < rank:
                    self._note_lost(key, contender)
                    return other
                displaced.append(other)
        if key not in self._winning:
            for other in displaced:
                self._lose(other, self._contenders[other])
                self._undecided.add(other)
            self._winners.add(subnet, key)
            self._winning.add(key)
            self._reconsider(subnet)  # also for those that have lost: they are told about this winner now
        return None

    def _note_lost(self, key: str, contender: Contender) -> None:
        if key in self._winning:
            self._lose(key, contender)
        if not contender.rank[0]:
            self._beaten.add(key)
            self._open.add(contender.subnet, key)

    def _lose(self, key: str, contender: Contender) -> None:
        self._winners.discard(contender.subnet)
        self._winning.discard(key)
        self._reconsider(contender.subnet)

    def _reconsider(self, subnet: Prefix) -> None:
        """Have the contenders decided that overlap a subnet, and that others can displace or have beaten."""
        for other in self._open.overlapping(subnet):
            if other not in self._reconsidered:
                self._reconsidered.add(other)
                self._undecided |= self._open.owners(other)


def _is_same(one: Contender, other: Contender) -> bool:
    """Return whether two contenders want the same with the same right, and losers are told the same about them."""
    return one.subnet == other.subnet and one.rank == other.rank and one.label == other.label
