"""IPAM strategies that each break one clause of the contract. The kit must detect every one."""

import random
from collections.abc import Iterator
from itertools import count, islice

from ikto_core.builtin.ipam import RandomStrategy, SequentialStrategy
from ikto_core.errors import ConfigError
from ikto_core.ipam.contract import IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.values.addressing import Prefix


def subnet_number(request: IpamRequest, number: int) -> Prefix:
    """Return the subnet with this number, which may be outside the mesh."""
    mesh = request.mesh_cidr
    address = int.from_bytes(mesh.address, "big") + (number << mesh.bits - request.subnet_prefix)
    return Prefix((address % 2**mesh.bits).to_bytes(len(mesh.address), "big"), request.subnet_prefix)


def size(request: IpamRequest) -> int:
    return 1 << request.subnet_prefix - request.mesh_cidr.length


class ProposesAddresses(SequentialStrategy):
    """Proposes a host address instead of a network address."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for subnet in super().candidates(request):
            last = subnet.address[-1] | (subnet.length < subnet.bits)
            yield Prefix(subnet.address[:-1] + bytes([last]), subnet.length)


class ProposesHalves(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for subnet in super().candidates(request):
            yield Prefix(subnet.address, min(subnet.length + 1, subnet.bits))


class ProposesText(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return (str(subnet) for subnet in super().candidates(request))  # type: ignore[misc]  # the intended mistake


class LeavesTheMesh:
    """Continues to count beyond the end of the mesh."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for number in range(1, size(request) + 1):
            subnet = subnet_number(request, number)
            if not any(subnet.overlaps(taken) for taken in request.taken):
                yield subnet


class DrawsWithReplacement:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        for _ in range(space.free):
            yield space.subnet(space.nth_free(request.random.randrange(space.free)))


class BeginsAtZero(SequentialStrategy):
    """Proposes the subnet with the anycast address."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        first = Prefix(request.mesh_cidr.address, request.subnet_prefix)
        if not any(first.overlaps(taken) for taken in request.taken):
            yield first
        yield from super().candidates(request)


class EndsAtBroadcast(SequentialStrategy):
    """Proposes the subnet with the broadcast address."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        yield from super().candidates(request)
        last = Prefix.of(request.mesh_cidr.last, request.subnet_prefix)
        if request.mesh_cidr.broadcast and last.length >= 31 and not any(map(last.overlaps, request.taken)):
            yield last


class ChecksEqualSubnetsOnly:
    """Looks up each subnet in the set of taken prefixes, which misses overlaps."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        every = (subnet_number(request, number) for number in range(1, size(request)))
        return (subnet for subnet in every if subnet not in request.taken)


class IgnoresSmallerTaken:
    """Ignores taken prefixes that are smaller than a subnet."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        every = (subnet_number(request, number) for number in range(1, size(request)))
        return (subnet for subnet in every if not any(taken.covers(subnet) for taken in request.taken))


class DrawsForever:
    """Draws until it finds a free subnet: in a full mesh without end."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        seen: set[Prefix] = set()
        while len(seen) < size(request) - 1:
            subnet = subnet_number(request, request.random.randrange(1, size(request)))
            if subnet not in seen and not any(subnet.overlaps(taken) for taken in request.taken):
                seen.add(subnet)
                yield subnet


class StartsOver(SequentialStrategy):
    """Starts again at the end, as if a taken subnet could have become free."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for _ in count():
            yield from super().candidates(request)


class GivesUpEarly:
    """Gives up after ten random tries."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        for _ in range(10):
            number = request.random.randrange(size(request))
            if space.any_free(number):
                yield space.subnet(number)
                return


class UsesGlobalRandom:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            start = random.randrange(space.free)
            yield from (space.subnet(space.nth_free((start + place) % space.free)) for place in range(space.free))


class UsesBuiltinHash:
    """Uses Python's `hash`, which differs in each process."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            start = hash(request.public_key) % space.free
            yield from (space.subnet(space.nth_free((start + place) % space.free)) for place in range(space.free))


class RemembersRequests(SequentialStrategy):
    """Never proposes a subnet again, whatever the request."""

    def __init__(self) -> None:
        self._offered: set[Prefix] = set()

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for subnet in super().candidates(request):
            if subnet not in self._offered:
                self._offered.add(subnet)
                yield subnet


class DrawsDespiteDeterministic(SequentialStrategy):
    """Is declared deterministic, but draws from `random`."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        found = list(islice(super().candidates(request), 2))
        return iter(found if request.random.random() < 0.5 else found[::-1])


class ListsTheMesh:
    """Builds a list of all subnets to shuffle it."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        every = [subnet_number(request, number) for number in range(1, size(request))]
        request.random.shuffle(every)
        return (subnet for subnet in every if not any(subnet.overlaps(taken) for taken in request.taken))


class ScansTakenSubnets:
    """Tries one subnet after the other."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for number in range(1, size(request)):
            subnet = subnet_number(request, number)
            if not any(subnet.overlaps(taken) for taken in request.taken):
                yield subnet


class ScansTakenForEachCandidate:
    """Compares each candidate with every taken prefix."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for subnet in RandomStrategy().candidates(request):
            if not any(subnet.overlaps(taken) for taken in request.taken):
                yield subnet


class ParsesNumberInName(SequentialStrategy):
    """Raises ValueError for a name without a number."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        number = int(request.name.rpartition("-")[2])
        yield from islice(super().candidates(request), number % 7, None)


class GivesNoHint(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        if not request.name:
            raise ConfigError("no")
        yield from super().candidates(request)


class RefusesSilently(SequentialStrategy):
    """Returns no candidates, instead of an error, for names that it can't serve."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return super().candidates(request) if request.name.startswith("node-") else iter(())
