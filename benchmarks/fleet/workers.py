"""The processes of a fleet, as the bench sees them."""

import asyncio
import multiprocessing
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.fleet.node import Place, Tally
from benchmarks.fleet.worker import Failed, Reading, work

STOP_TIMEOUT_S = 60.0


class Workers:
    """Orders to all processes at once. Every method raises RuntimeError if a process fails."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    async def start(self) -> None:
        """Start all nodes at once."""
        await self._all("start")

    async def stop(self) -> None:
        """Stop all nodes."""
        await self._all("stop")

    async def until_all_have(self, count: int, timeout_s: float) -> float:
        """Wait until each node has so many records; return when that was, by CLOCK_MONOTONIC."""
        reached: list[float] = await self._all("until_all_have", count, timeout_s)
        return max(reached)

    async def until_all_saw(self, tokens: Sequence[str], timeout_s: float) -> None:
        """Wait until each node has seen these tokens."""
        await self._all("until_all_saw", tokens, timeout_s)

    async def until_all_current(self, revision: int, timeout_s: float) -> float:
        """Wait until each node shows this revision or a later one; return when that was, by CLOCK_MONOTONIC."""
        reached: list[float] = await self._all("until_all_current", revision, timeout_s)
        return max(reached)

    async def take(self) -> Mapping[str, Sequence[float]]:
        """Return when nodes saw what, by CLOCK_MONOTONIC, since this was called last."""
        times: defaultdict[str, list[float]] = defaultdict(list)
        for taken in await self._all("take"):
            for token, at in taken.items():
                times[token].extend(at)
        return times

    async def read(self) -> Reading:
        """Return what all processes together have used and counted since they started."""
        readings: list[Reading] = await self._all("read")
        tally = sum((reading.tally for reading in readings), Tally())
        return Reading(sum(r.cpu_s for r in readings), sum(r.rss for r in readings), tally)

    async def sample(self, *, on: bool) -> Sequence[str]:
        """Begin or end sampling in all processes; return the report of the first one."""
        reports: list[Sequence[str]] = await self._all("sample", on)
        return reports[0]

    async def _all(self, *order: object) -> list[Any]:
        for pipe in self._pipes:
            pipe.send(order)
        answers = await asyncio.gather(*(asyncio.to_thread(pipe.recv) for pipe in self._pipes))
        for answer in answers:
            if isinstance(answer, Failed):
                raise RuntimeError(answer.why)  # noqa: TRY004 - it failed there
        return answers


@asynccontextmanager
async def running_workers(kind: str, numbers: Sequence[int], place: Place, processes: int) -> AsyncIterator[Workers]:
    """Run processes with these nodes, which are not started yet; all have ended after the block."""
    context = multiprocessing.get_context("spawn")
    pipes, running = [], []
    try:
        for share in (numbers[index::processes] for index in range(processes)):
            mine, theirs = context.Pipe()
            process = context.Process(target=work, args=(theirs, kind, share, place), daemon=True)
            process.start()
            theirs.close()
            pipes.append(mine)
            running.append(process)
        yield Workers(pipes)
    finally:
        for pipe in pipes:
            pipe.close()
        for process in running:
            await asyncio.to_thread(process.join, STOP_TIMEOUT_S)
            process.kill()  # unless it has ended
