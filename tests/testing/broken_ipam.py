"""Strategies that break one clause of the contract each: what the kit must catch."""

import random
from collections.abc import Iterator
from itertools import count, islice

from ikto_core.builtin.ipam import RandomStrategy, SequentialStrategy
from ikto_core.errors import ConfigError
from ikto_core.ipam.contract import IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.values.addressing import Prefix


def subnet_number(request: IpamRequest, number: int) -> Prefix:
    """The subnet of a number, which may lie beyond the mesh."""
    mesh = request.mesh_cidr
    address = int.from_bytes(mesh.address, "big") + (number << mesh.bits - request.subnet_prefix)
    return Prefix((address % 2**mesh.bits).to_bytes(len(mesh.address), "big"), request.subnet_prefix)


def size(request: IpamRequest) -> int:
    return 1 << request.subnet_prefix - request.mesh_cidr.length


class ProposesAddresses(SequentialStrategy):
    """The device's address instead of its network's."""

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
        return (str(subnet) for subnet in super().candidates(request))  # type: ignore[misc]  # that is what is wrong


class LeavesTheMesh:
    """Counts on where the mesh has ended."""

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
    """Knows nothing of the anycast address."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        first = Prefix(request.mesh_cidr.address, request.subnet_prefix)
        if not any(first.overlaps(taken) for taken in request.taken):
            yield first
        yield from super().candidates(request)


class EndsAtBroadcast(SequentialStrategy):
    """Knows nothing of the address that stands for everybody."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        yield from super().candidates(request)
        last = Prefix.of(request.mesh_cidr.last, request.subnet_prefix)
        if request.mesh_cidr.broadcast and last.length >= 31 and not any(map(last.overlaps, request.taken)):
            yield last


class ChecksEqualSubnetsOnly:
    """Takes a set of subnets for the answer to what overlaps."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        every = (subnet_number(request, number) for number in range(1, size(request)))
        return (subnet for subnet in every if subnet not in request.taken)


class IgnoresSmallerTaken:
    """A single address that somebody holds within a subnet does not count."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        every = (subnet_number(request, number) for number in range(1, size(request)))
        return (subnet for subnet in every if not any(taken.covers(subnet) for taken in request.taken))


class DrawsForever:
    """Draws again and again: in a full mesh without end."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        seen: set[Prefix] = set()
        while len(seen) < size(request) - 1:
            subnet = subnet_number(request, request.random.randrange(1, size(request)))
            if subnet not in seen and not any(subnet.overlaps(taken) for taken in request.taken):
                seen.add(subnet)
                yield subnet


class StartsOver(SequentialStrategy):
    """In the belief that what was taken may have become free."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for _ in count():
            yield from super().candidates(request)


class GivesUpEarly:
    """After ten tries in the dark."""

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
    """Python's own, which is salted anew in each process."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            start = hash(request.public_key) % space.free
            yield from (space.subnet(space.nth_free((start + place) % space.free)) for place in range(space.free))


class RemembersRequests(SequentialStrategy):
    """Never offers anything again, to whomever."""

    def __init__(self) -> None:
        self._offered: set[Prefix] = set()

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for subnet in super().candidates(request):
            if subnet not in self._offered:
                self._offered.add(subnet)
                yield subnet


class DrawsDespiteDeterministic(SequentialStrategy):
    """Says that it is deterministic, and is not."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        found = list(islice(super().candidates(request), 2))
        return iter(found if request.random.random() < 0.5 else found[::-1])


class ListsTheMesh:
    """Every subnet in a list, to shuffle it."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        every = [subnet_number(request, number) for number in range(1, size(request))]
        request.random.shuffle(every)
        return (subnet for subnet in every if not any(subnet.overlaps(taken) for taken in request.taken))


class ScansTakenSubnets:
    """One subnet at a time."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for number in range(1, size(request)):
            subnet = subnet_number(request, number)
            if not any(subnet.overlaps(taken) for taken in request.taken):
                yield subnet


class ScansTakenForEachCandidate:
    """At everything that is taken, for each candidate."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for subnet in RandomStrategy().candidates(request):
            if not any(subnet.overlaps(taken) for taken in request.taken):
                yield subnet


class ParsesNumberInName(SequentialStrategy):
    """And raises what Python raises where there is none."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        number = int(request.name.rpartition("-")[2])
        yield from islice(super().candidates(request), number % 7, None)


class GivesNoHint(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        if not request.name:
            raise ConfigError("no")
        yield from super().candidates(request)


class RefusesSilently(SequentialStrategy):
    """Of who can't be served."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return super().candidates(request) if request.name.startswith("node-") else iter(())
