"""Pings over the mesh, from every node to every other."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import combinations
from threading import Event

from ikto_core.lab.network import Host

Pair = tuple[str, str]
"""Source and target."""

RoundTrips = Mapping[Pair, float | None]
"""The shortest of some round trips in milliseconds, None if they were lost."""

AT_ONCE = 50
ANSWERS = 5
WITHIN_S = 15  # two that start a session at one moment stall for up to 12 s
COMMAND = ("ping", "-n", "-q", "-c", str(ANSWERS), "-i", "0.02", "-w", str(WITHIN_S))

_LOOK_EVERY_S = 0.005
_SHORTEST = re.compile(r"min/.* = ([0-9.]+)/")


def rounds(names: Sequence[str]) -> Iterator[Sequence[Pair]]:
    """Yield the pairs that ping at once: all in both directions, but never both ways at once, or they would collide."""
    there = list(combinations(names, 2))
    back = [(target, source) for source, target in there]
    for way in (there, back):
        for begin in range(0, len(way), AT_ONCE):
            yield way[begin : begin + AT_ONCE]


def ping(ways: Sequence[tuple[Host, str]], stop: Event) -> list[float | None]:
    """Ping from these hosts to these addresses, all at once; return each one's shortest round trip in milliseconds.

    None: not ANSWERS answers within WITHIN_S seconds. Raises KeyboardInterrupt as soon as `stop` is set.
    """
    with ExitStack() as stack:
        pings = [stack.enter_context(_running((*host.within, *COMMAND, address))) for host, address in ways]
        while any(process.poll() is None for process in pings):
            if stop.wait(_LOOK_EVERY_S):
                raise KeyboardInterrupt
        return [None if process.returncode else shortest(process.communicate()[0]) for process in pings]


def shortest(said: str) -> float | None:
    """Return the shortest round trip that a `ping` tells of, in milliseconds; None if it tells of none."""
    found = _SHORTEST.search(said)
    return float(found[1]) if found else None


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program that says little; ended with the block."""
    with subprocess.Popen(  # noqa: S603 - our own list
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
