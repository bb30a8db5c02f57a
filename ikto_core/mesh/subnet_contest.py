"""Who gets a subnet if the subnets of several records overlap: the contender with the lowest rank.

Pure and incremental: only contenders that overlap a change are decided again. The result is the same in whatever order
the contenders appear: in ascending order of rank, each wins if it overlaps no earlier winner.

The first member of a rank says whether others can displace a contender. Those that can't (False) must not overlap each
other, except the one with the lowest rank of all, which has to be entered first.
"""

from heapq import heappop, heappush

import msgspec

from ikto_core.values.addressing import Prefix
from ikto_core.values.prefix_index import OverlapIndex, PrefixIndex


class Contender(msgspec.Struct, frozen=True):
    """A subnet that somebody wants to have."""

    subnet: Prefix
    rank: tuple[bool, bool, str]  # unique; lower ones win
    label: str  # what a loser is told about a winner

    @property
    def settled(self) -> bool:
        """Whether no contender that comes or goes can change the decision about it."""
        return not self.rank[0]


class SubnetContest:
    """The contenders, by any unique key, and which of them have won."""

    def __init__(self) -> None:
        self._contenders: dict[str, Contender] = {}
        self._winners = PrefixIndex()
        self._winning: set[str] = set()
        self._unsettled = OverlapIndex()
        self._undecided: set[str] = set()
        self._reconsidered: set[Prefix] = set()  # whose owners are all undecided, or were decided just now

    def set(self, key: str, contender: Contender | None) -> None:
        """Enter, replace or (None) withdraw a contender; `decide` says what follows from it."""
        before = self._contenders.get(key)
        if before is not None and before != contender:
            self._withdraw(key, before)
        if contender is not None:
            self._undecided.add(key)
        if contender is not None and before != contender:
            self._contenders[key] = contender
            if not contender.settled:
                self._unsettled.add(contender.subnet, key)

    def decide(self) -> dict[str, str | None]:
        """Decide what the changes since the last call affect; return who stands in the way of each (None: it won)."""
        decisions: dict[str, str | None] = {}
        waiting: list[tuple[tuple[bool, bool, str], str]] = []
        queued: set[str] = set()
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
        if not contender.settled:
            self._unsettled.discard(contender.subnet, key)
        if key in self._winning:
            self._lose(key, contender)
        self._undecided.discard(key)

    def _decide(self, key: str) -> str | None:
        """Let a contender win or lose; return the better one that it overlaps."""
        contender, displaced = self._contenders[key], []
        for other in self._winners.overlap_owners(contender.subnet):
            if other == key:
                continue
            if self._contenders[other].rank < contender.rank:
                if key in self._winning:
                    self._lose(key, contender)
                return other
            displaced.append(other)
        if key not in self._winning:
            for other in displaced:
                self._lose(other, self._contenders[other])
            self._winners.add(contender.subnet, key)
            self._winning.add(key)
            self._reconsider(contender.subnet)  # also for those that have lost: they are told about this winner now
        return None

    def _lose(self, key: str, contender: Contender) -> None:
        self._winners.discard(contender.subnet)
        self._winning.discard(key)
        self._reconsider(contender.subnet)

    def _reconsider(self, subnet: Prefix) -> None:
        """Have the unsettled contenders decided that overlap a subnet."""
        for other in self._unsettled.overlapping(subnet):
            if other not in self._reconsidered:
                self._reconsidered.add(other)
                self._undecided |= self._unsettled.owners(other)
