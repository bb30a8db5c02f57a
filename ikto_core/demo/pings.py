"""Pings over the mesh, from every node to every other node."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import permutations
from statistics import median
from threading import Event

from ikto_core.lab.network import Host

Pair = tuple[str, str]
"""Source and target."""

RoundTrips = Mapping[Pair, float | None]
"""The median round trip of each pair in milliseconds; None if pings were lost."""

AT_ONCE = 50
ANSWERS = 5
WITHIN_S = 10
COMMAND = ("ping", "-n", "-c", str(ANSWERS), "-i", "0.02", "-w", str(WITHIN_S))

_POLL_EVERY_S = 0.005
_TIME = re.compile(r" time=([0-9.]+) ms")


def rounds(names: Sequence[str]) -> Iterator[Sequence[Pair]]:
    """Yield groups of at most AT_ONCE pairs to ping at the same time."""
    pairs = list(permutations(names, 2))
    for begin in range(0, len(pairs), AT_ONCE):
        yield pairs[begin : begin + AT_ONCE]


def ping(targets: Sequence[tuple[Host, str]], stop: Event) -> list[float | None]:
    """Ping each address from its host, all at the same time; return the median round trip of each in milliseconds.

    None: fewer than ANSWERS answers within WITHIN_S seconds. Raises KeyboardInterrupt as soon as `stop` is set.
    """
    with ExitStack() as stack:
        pings = [stack.enter_context(_running((*host.exec_prefix, *COMMAND, address))) for host, address in targets]
        while any(process.poll() is None for process in pings):
            if stop.wait(_POLL_EVERY_S):
                raise KeyboardInterrupt
        return [None if process.returncode else round_trip(process.communicate()[0]) for process in pings]


def round_trip(output: str) -> float | None:
    """Return the median round trip in the output of `ping`, in milliseconds; None if fewer than ANSWERS came back."""
    times = [float(time) for time in _TIME.findall(output)]
    return median(times) if len(times) >= ANSWERS else None


@contextmanager
def _running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Run a program whose output fits into a pipe; it is killed when the block ends."""
    with subprocess.Popen(  # noqa: S603 - a fixed list
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()
