"""Strategies that depend on more than the request, or serve less than they should, in less usual ways."""

import datetime as dt
import os
import socket
import time
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from ikto_core.builtin.ipam import SequentialStrategy
from ikto_core.ipam.contract import IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.values.addressing import Prefix
from tests.testing.broken_strategies import free_from


def placed(request: IpamRequest, number: int) -> Iterator[Prefix]:
    """Yield all free subnets, from a place that a number decides."""
    space = Space.of(request)
    return free_from(space, number % space.free) if space.free else iter(())


class BeginsAtTheHost:
    """Places a node by the name of its host."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return placed(request, sum(socket.gethostname().encode()) * 7919)


class BeginsAtTheNodeOfUname:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return placed(request, sum(os.uname().nodename.encode()) * 7919)


class BeginsAtTheDay:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return placed(request, dt.date.today().toordinal())  # noqa: DTZ011 - the intended mistake


class BeginsAtTheHour:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return placed(request, int(time.time()) // 3600)


class BeginsAtTheUser:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return placed(request, sum(os.environ.get("USER", "root").encode()) * 7919)


class BeginsAtTheDirectory:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return placed(request, sum(str(Path.cwd()).encode()) * 7919)


class HashesTheKey:
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return placed(request, hash(request.public_key))


class CountsItsCalls:
    """Another answer at each call, so that two nodes of one process do not ask for the same."""

    calls = 0

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        CountsItsCalls.calls += 1
        return placed(request, CountsItsCalls.calls)


class SleepsForEver(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        time.sleep(3600)
        return super().candidates(request)


class AsksTheNetwork(SequentialStrategy):
    """Looks its rack up, and goes on without an answer."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            try:
                asking.connect(("127.0.0.1", 9))
            except OSError:
                return iter(())
        return super().candidates(request)


class LoopsAtTheEnd(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        yield from super().candidates(request)
        while True:
            pass


class BeginsAgain(SequentialStrategy):
    """Proposes all once more: a claim may have ended meanwhile."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return chain(super().candidates(request), super().candidates(request))


class ForgetsLongPrefixes(SequentialStrategy):
    """Ignores what is taken inside a subnet."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        for number in range(1, 1 << min(request.subnet_prefix - request.mesh_cidr.length, 20)):
            subnet = Space.of(request).subnet(number)
            if not any(taken.covers(subnet) for taken in request.taken):
                yield subnet


class StopsAfterTwoHundred(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return islice(super().candidates(request), 200)


class RefusesSixtyFour(SequentialStrategy):
    """Knows subnets of the lengths 48 and 24 only, and says nothing of others."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return super().candidates(request) if request.subnet_prefix in {48, 24} else iter(())


class ProposesTexts(SequentialStrategy):
    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        return map(str, super().candidates(request))  # type: ignore[arg-type]  # the intended mistake


class RaisesAtTheFirstCandidate(SequentialStrategy):
    """A generator that fails when it is drawn from, not when it is made."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        if not request.name.isascii():
            raise LookupError(request.name)
        yield from super().candidates(request)
