"""Strategies with the mistakes that pass a kit which looks at candidates only."""

import ipaddress
import random
import time
from collections.abc import Iterator
from itertools import islice

from ikto_core.builtin.ipam import SequentialStrategy
from ikto_core.errors import ConfigError, IktoError
from ikto_core.ipam.contract import IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.values.addressing import Prefix


def free_from(space: Space, start: int) -> Iterator[Prefix]:
    for place in range(space.free):
        yield space.subnet(space.nth_free((start + place) % space.free))


class FollowsTheFirstTaken:
    """Begins at a place that the first element of the set decides."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            first = next(iter(request.taken), request.mesh_cidr)
            yield from free_from(space, int.from_bytes(first.address, "big") % space.free)


class FollowsTheLastOfASetOfTexts:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            texts = {str(taken) for taken in request.taken}
            yield from free_from(space, sum(map(len, list(texts)[:7])) % space.free)


class HashesTheName:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            yield from free_from(space, hash(request.name) % space.free)


class ShufflesWithTheTime:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            yield from free_from(space, time.time_ns() % space.free)


class SeedsTheGlobalRandom:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        space = Space.of(request)
        if space.free:
            yield from free_from(space, random.SystemRandom().randrange(space.free))


class ListsInC(SequentialStrategy):
    """One line of Python that makes a list of all subnets."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        numbers = list(range(1 << request.subnet_prefix - request.mesh_cidr.length))
        return super().candidates(request) if numbers else iter(())


class ListsWithIpaddress:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        every = list(ipaddress.ip_network(str(request.mesh_cidr)).subnets(new_prefix=request.subnet_prefix))
        for found in every[1:]:
            subnet = Prefix.parse(str(found))
            if not any(subnet.overlaps(taken) for taken in request.taken):
                yield subnet


class RefusesSilently(SequentialStrategy):
    """Has no candidates for a name that it can't parse."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return super().candidates(request) if request.name.startswith("node-") else iter(())


class RefusesWithoutAHint(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        if not request.name.startswith("node-"):
            raise ConfigError(f"can't place {request.name!r}")
        return super().candidates(request)


class RefusesWithoutAWord(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        if not request.name.startswith("node-"):
            raise IktoError("", hint="no")
        return super().candidates(request)


class RefusesEveryName(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        raise ConfigError("name: has no rack", hint="call it rack-unit")


class RefusesIPv4Silently(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return super().candidates(request) if request.mesh_cidr.bits == 128 else iter(())


class RaisesValueError(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        int(request.name.rpartition("-")[2])
        return super().candidates(request)


class ProposesOneSubnet(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return islice(super().candidates(request), 1)


class LeavesTheProgram(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        raise KeyError(request.name)
