"""Measures Ikto and a reference in turns, so that what else the machine does falls on both."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.samples import Pair

Measuring = Callable[[], Awaitable[float]]
"""Does something once and returns what it cost, in the row's unit."""


async def side_by_side(
    ikto: Measuring, reference: Measuring | None, *, rounds: int, before: Callable[[], Awaitable[object]] | None = None
) -> Pair:
    """Measure each side once a round, first the one, in the next round first the other. `before` begins each round."""
    pair: tuple[list[float], list[float]] = [], []
    in_turn = [(values, side) for values, side in zip(pair, (ikto, reference), strict=True) if side]
    for _ in range(rounds):
        if before:
            await before()
        for values, measure in in_turn:
            values.append(await measure())
        in_turn.reverse()
    return Pair(*pair)


def timed(call: Callable[[], Awaitable[object]]) -> Measuring:
    """Return a call that returns how long it took, in seconds of the clock."""
    return _measured(call, time.perf_counter)


def own_processor_time(call: Callable[[], Awaitable[object]]) -> Measuring:
    """Return a call that returns the processor time of this process meanwhile, in seconds."""
    return _measured(call, time.process_time)


def processor_time_of(pid: int, call: Callable[[], Awaitable[object]], *, settle_s: float = 0.0) -> Measuring:
    """Return a call that returns the processor time of another process meanwhile, in seconds.

    `settle_s`: how long to wait after the call for work that the other process does behind it.
    """

    async def settled() -> None:
        await call()
        await asyncio.sleep(settle_s)

    return _measured(settled, lambda: processor_s(pid))


def processor_s(pid: int) -> float:
    """Return the processor time of a process since its start, in seconds; of threads that have not ended.

    Source: /proc/PID/task/TID/schedstat, which counts nanoseconds where /proc/PID/stat counts hundredths of a second.
    """
    used_ns = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            used_ns += int((thread / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):  # it ended just now
            continue
    return used_ns / 1e9


def written_bytes(pid: int) -> int:
    """Return how many bytes a process has written since its start, to sockets and files (wchar in /proc/PID/io)."""
    fields = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(fields["wchar"])


def _measured(call: Callable[[], Awaitable[object]], clock: Callable[[], float]) -> Measuring:
    async def measure() -> float:
        began = clock()
        await call()
        return clock() - began

    return measure
