"""What one phase of the fleet bench measures."""

import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec

from benchmarks.fleet.guests import Guest
from benchmarks.fleet.servers import ServerReading, Servers, used_between
from benchmarks.fleet.watching import GONE
from benchmarks.fleet.workers import Workers


class Notice(msgspec.Struct, frozen=True):
    """How long after a write its readers had it, in seconds: over all readers, and for each write the last reader."""

    writes: int
    p50: float
    p99: float
    max: float
    last_p50: float
    last_p99: float


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """What one phase took."""

    phase: str
    wall_s: float
    nodes_cpu_s: float  # of all nodes together
    nodes_rss: int  # bytes, of all nodes together, at the end
    server: ServerReading  # what all servers used
    counts: Mapping[str, int]  # what the nodes counted
    notice: Notice | None = None


class Meter:
    """Measures the phases of one fleet, one after the other."""

    def __init__(self, servers: Servers, workers: Workers) -> None:
        self.phases: list[Phase] = []
        self._servers = servers
        self._workers = workers

    @asynccontextmanager
    async def phase(self, name: str) -> AsyncIterator["Running"]:
        """Measure the block."""
        before, servers = await self._workers.read(), self._servers.read()
        running = Running()
        yield running
        ended = time.monotonic()
        after = await self._workers.read()
        tally = after.tally - before.tally
        self.phases.append(
            Phase(
                phase=name,
                wall_s=(running.ended or ended) - running.began,
                nodes_cpu_s=after.cpu_s - before.cpu_s,
                nodes_rss=after.rss,
                server=used_between(servers, self._servers.read()),
                counts={counter: count for counter, count in tally.counts.items() if count},
                notice=running.notice,
            )
        )


class Running:
    """A phase while it runs."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ended = 0.0  # 0: when the block ends
        self.notice: Notice | None = None


def notice(times: Mapping[str, Sequence[float]], joined: Iterable[Guest], left: Iterable[Guest] = ()) -> Notice:
    """Return the delays of guests that joined and left, given when the nodes saw them. Pure."""
    delays = [
        [at - guest.put_at for at in times.get(f"{mark}{guest.key}") or times[f"{mark}{guest.public_key}"]]
        for mark, guests in (("", joined), (GONE, left))
        for guest in guests
    ]
    return notice_of(delays)


def notice_of(delays: Sequence[Sequence[float]]) -> Notice:
    """Return the figures of delays in seconds, one sequence for each write."""
    pooled, last = sorted(d for each in delays for d in each), sorted(max(each) for each in delays)
    return Notice(
        writes=len(delays),
        p50=percentile(pooled, 0.5),
        p99=percentile(pooled, 0.99),
        max=pooled[-1],
        last_p50=percentile(last, 0.5),
        last_p99=percentile(last, 0.99),
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the least value that is at least as large as this share of the values, which are in ascending order."""
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]
