"""The subnets of a mesh as numbers, and which are free: arithmetic on ranges, without listing subnets."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple, Self

from ikto_core.ipam.contract import IpamRequest
from ikto_core.values.addressing import Prefix


class Run(NamedTuple):
    """A range of consecutive free subnet numbers: `first` to `end` - 1."""

    first: int
    end: int


class Space:
    """The free subnets of a mesh. The mesh's first subnet is number 0; it, and the last by clause I3, is never free.

    There are 2 to the power of `number_bits` numbers, free or not. For n
    taken prefixes, construction takes O(n log n) time, each query O(log n), and memory is O(n), whatever the mesh's
    size.
    """

    def __init__(self, mesh: Prefix, subnet_prefix: int, taken: Iterable[Prefix]) -> None:
        self.number_bits = max(subnet_prefix - mesh.length, 0)
        self._mesh = mesh
        self._length = subnet_prefix
        self._origin = int.from_bytes(mesh.address, "big")
        self._runs = tuple(self._free_runs(taken)) if subnet_prefix >= mesh.length else ()
        self._ends = [run.end for run in self._runs]
        self._free_up_to = list(accumulate(run.end - run.first for run in self._runs))

    @classmethod
    def of(cls, request: IpamRequest) -> Self:
        """Return the space of a request."""
        return cls(request.mesh_cidr, request.subnet_prefix, request.taken)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The free numbers as ranges, lowest first: `range(run.first, run.end)` has those of one."""
        return self._runs

    @property
    def total(self) -> int:
        """The number of assignable subnets, free or taken; also the highest assignable number."""
        broadcast = self._mesh.broadcast is not None and self._length >= 31
        return (1 << self.number_bits) - (2 if broadcast else 1)

    @property
    def free(self) -> int:
        """The number of free subnets."""
        return self._free_up_to[-1] if self._runs else 0

    def subnet(self, number: int) -> Prefix:
        """Return the subnet with this number."""
        address = self._origin + (number << self._mesh.bits - self._length)
        return Prefix(address.to_bytes(len(self._mesh.address), "big"), self._length)

    def any_free(self, first: int, count: int = 1) -> bool:
        """Whether one of the numbers `first` to `first + count - 1` is free."""
        at = bisect_right(self._ends, first)
        return at < len(self._runs) and self._runs[at].first < first + count

    def nth_free(self, index: int) -> int:
        """Return the number of the free subnet at this index, counted from 0 among free subnets."""
        at = bisect_right(self._free_up_to, index)
        return self._runs[at].end - (self._free_up_to[at] - index)

    def _free_runs(self, taken: Iterable[Prefix]) -> Iterator[Run]:
        """Yield the free subnets, lowest first."""
        at, end = 1, self.total + 1
        same_family = (prefix for prefix in taken if len(prefix.address) == len(self._mesh.address))
        for first, last in sorted(map(self._numbers, same_family)):
            if at < min(first, end):
                yield Run(at, min(first, end))
            at = max(at, last + 1)
        if at < end:
            yield Run(at, end)

    def _numbers(self, taken: Prefix) -> tuple[int, int]:
        """Return the first and the last number that `taken` overlaps; both may lie outside the mesh."""
        first = int.from_bytes(taken.address, "big")
        last = first | (1 << taken.bits - taken.length) - 1
        host_bits = self._mesh.bits - self._length
        return first - self._origin >> host_bits, last - self._origin >> host_bits
