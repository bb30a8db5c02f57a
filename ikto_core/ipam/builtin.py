"""The IPAM strategies that come with Ikto."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from random import Random
from typing import NamedTuple

from ikto_core.addressing import Prefix
from ikto_core.hookspecs import hookimpl
from ikto_core.ipam.contract import IpamPlugin, IpamRequest


class RandomStrategy:
    """Every free subnet is as likely as any other: two nodes that ask at once seldom meet."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield all free subnets in uniformly random order.

        Each costs one draw, however full the mesh is and however large: what is drawn is a place among the free
        subnets, and memory grows with the candidates that were taken, not with the mesh.
        """
        runs = list(free_runs(request))
        ends = list(accumulate(run.size for run in runs))
        host_bits = request.mesh_cidr.bits - request.subnet_prefix
        origin = int.from_bytes(request.mesh_cidr.address, "big")
        width = len(request.mesh_cidr.address)
        for place in shuffled(ends[-1] if ends else 0, request.random):
            run = bisect_right(ends, place)
            number = runs[run].first + place - (ends[run] - runs[run].size)
            yield Prefix((origin + (number << host_bits)).to_bytes(width, "big"), request.subnet_prefix)


class Run(NamedTuple):
    """Subnets next to each other, by their number in the mesh; the mesh's first subnet is number 0."""

    first: int
    size: int


def free_runs(request: IpamRequest) -> Iterator[Run]:
    """Yield the free subnets as runs, lowest first. Number 0 is never free: see `IpamStrategy`."""
    mesh = request.mesh_cidr
    if request.subnet_prefix < mesh.length:
        return
    total = 1 << request.subnet_prefix - mesh.length
    at = 1
    for first, last in sorted(_numbers(request, taken) for taken in request.taken if taken.overlaps(mesh)):
        if first > at:
            yield Run(at, first - at)
        at = max(at, last + 1)
    if at < total:
        yield Run(at, total - at)


def _numbers(request: IpamRequest, taken: Prefix) -> tuple[int, int]:
    """Return the first and the last subnet that `taken` shares addresses with; the last may lie beyond the mesh."""
    mesh = request.mesh_cidr
    low = max(taken.address, mesh.address)
    first, last, origin = (int.from_bytes(address, "big") for address in (low, taken.last, mesh.address))
    host_bits = mesh.bits - request.subnet_prefix
    return first - origin >> host_bits, last - origin >> host_bits


def shuffled(count: int, random: Random) -> Iterator[int]:
    """Yield 0 to `count` - 1, each once, in uniformly random order: Fisher and Yates, storing only what moved."""
    moved: dict[int, int] = {}
    for last in range(count - 1, -1, -1):
        pick = random.randrange(last + 1)
        yield moved.get(pick, pick)
        moved[pick] = moved.pop(last, last)


@hookimpl
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    """Offer the built-in strategies."""
    return (IpamPlugin(name="random", summary="any free subnet, in random order", make=RandomStrategy),)
