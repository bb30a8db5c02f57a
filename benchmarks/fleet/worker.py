"""One process of a fleet: it runs its share of the nodes, and does what the bench asks over a pipe."""

import asyncio
import importlib
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from benchmarks.fleet.agents import FleetAgent
from benchmarks.fleet.clients import BareSubscriber, KvWatcher
from benchmarks.fleet.node import FleetNode, Place, Tally
from benchmarks.fleet.sampling import Sampler
from benchmarks.fleet.watching import Census, Sightings, Watch
from ikto_core.cli.logs import log_to_stderr

KINDS: Mapping[str, Callable[[int, Place, Watch], FleetNode]] = {
    "agents": FleetAgent,
    "kv.watch": KvWatcher,
    "subscribers": BareSubscriber,
}

T = TypeVar("T")

LOOK_EVERY_S = 0.1
IMPORTED_LATE = ("pyroute2", "xeddsa", "nats")


class Reading(msgspec.Struct, frozen=True):
    """What a process has used and counted since it started."""

    cpu_s: float
    rss: int  # bytes
    tally: Tally


class Failed(msgspec.Struct, frozen=True):
    """An order failed in the worker's process."""

    why: str


def work(pipe: Connection, kind: str, numbers: Sequence[int], place: Place) -> None:
    """Run the process until the pipe is closed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stderr = (Path(place.directory) / f"{kind}-{os.getpid()}.log").open("w")  # closed with the process
    for module in IMPORTED_LATE:  # once a process, not once an agent: the cost of imports is measured elsewhere
        importlib.import_module(module)
    log_to_stderr("info", as_json=False)
    asyncio.run(Worker(kind, numbers, place).serve(pipe))


class Worker:
    """The nodes of one process."""

    def __init__(self, kind: str, numbers: Sequence[int], place: Place) -> None:
        self._sightings = Sightings()
        self._census = Census()
        made = [Watch(number, self._sightings, self._census) for number in numbers]
        make = KINDS[kind]
        self._nodes = [make(watch.number, place, watch) for watch in made]
        self._running: list[asyncio.Task[None]] = []
        self._sampler = Sampler()

    async def serve(self, pipe: Connection) -> None:
        """Carry out orders until the pipe is closed: tuples of a method's name and its arguments."""
        orders: Mapping[str, Callable[..., Awaitable[object]]] = {
            "start": self.start,
            "stop": self.stop,
            "until_all_have": self.until_all_have,
            "until_all_saw": self.until_all_saw,
            "until_all_current": self.until_all_current,
            "take": self.take,
            "read": self.read,
            "sample": self.sample,
        }
        with suppress(EOFError):
            while True:
                name, *arguments = await asyncio.to_thread(pipe.recv)
                try:
                    answer = await orders[name](*arguments)
                except Exception as error:  # noqa: BLE001 - it is raised again in the bench's process
                    answer = Failed(f"{name}: {type(error).__name__}: {error}")
                pipe.send(answer)
        await self.stop()

    async def start(self) -> None:
        """Start all nodes at once."""
        self._running = [asyncio.create_task(node.run()) for node in self._nodes]

    async def stop(self) -> None:
        """Stop all nodes."""
        for task in self._running:
            task.cancel()
        ended = await asyncio.gather(*self._running, return_exceptions=True)
        self._running = []
        for error in ended:
            if isinstance(error, Exception):
                raise error

    async def until_all_have(self, count: int, timeout_s: float) -> float:
        """Wait until each node has so many records; return when that was, by CLOCK_MONOTONIC."""
        return await self._unless_one_ends(self._census.until(count), timeout_s)

    async def until_all_saw(self, tokens: Sequence[str], timeout_s: float) -> None:
        """Wait until each node has seen these tokens."""
        await self._unless_one_ends(self._sightings.all_saw(tokens), timeout_s)

    async def until_all_current(self, revision: int, timeout_s: float) -> float:
        """Wait until each node shows this revision; return when that was, by CLOCK_MONOTONIC, to LOOK_EVERY_S."""
        return await self._unless_one_ends(self._all_current(revision), timeout_s)

    async def _all_current(self, revision: int) -> float:
        waiting = self._nodes
        while waiting := [node for node in waiting if not node.is_current(revision)]:
            await asyncio.sleep(LOOK_EVERY_S)
        return time.monotonic()

    async def take(self) -> Mapping[str, Sequence[float]]:
        """Return when nodes saw what, by CLOCK_MONOTONIC, since this was called last."""
        taken, self._sightings.times = self._sightings.times, {}
        return taken

    async def read(self) -> Reading:
        """Return what the process has used and counted."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        tally = sum((node.tally() for node in self._nodes), Tally())
        return Reading(used.ru_utime + used.ru_stime, _rss(), tally)

    async def sample(self, on: bool) -> Sequence[str]:
        """Begin to sample what takes processor time, or end it and return the lines of a report."""
        if on:
            self._sampler.begin()
            return []
        return self._sampler.end()

    async def _unless_one_ends(self, waiting: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Return what is waited for; raise the error of a node that ends meanwhile, or TimeoutError."""
        waiter = asyncio.create_task(waiting)
        done, _ = await asyncio.wait([waiter, *self._running], timeout=timeout_s, return_when="FIRST_COMPLETED")
        if waiter in done:
            return waiter.result()
        waiter.cancel()
        for task in done:
            task.result()
        raise TimeoutError(self._census.shortage() if not done else "a node has ended")


def _rss() -> int:
    """Return the resident memory of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
