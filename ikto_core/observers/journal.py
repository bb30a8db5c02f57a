"""The latest events of this node: logged once, kept for readers, numbered so that a reader can go on where it was.

There is one list for all readers. A slow reader takes nothing from the agent: it misses what is not kept any more, and
is told how many events that were.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog

from ikto_core.observers.contract import MeshEvent, PeerAccepted, PeerRemoved, Resync
from ikto_core.observers.event_diff import EventDiff
from ikto_core.observers.event_hub import EventHub
from ikto_core.observers.health import EventsDropped, HealthEvent, MeshKnown
from ikto_core.observers.wording import Line, line_of
from ikto_core.values.line_limit import LeftOut, LineLimit

KEPT = 1000
"""Events; with long names and reasons they take some megabytes at most."""

log = structlog.get_logger(__name__)


class JournalEntry(NamedTuple):
    """An event with its place in the journal."""

    number: int  # ascending, without gaps
    at: float  # seconds since the epoch
    event: MeshEvent | HealthEvent
    replaces: str = ""  # of an accepted peer: the public key that it had until now; empty: none
    replaced_by: str = ""  # of a removed peer: the public key that it has from now on; empty: none

    @property
    def line(self) -> Line | None:
        """The line for people; None: another entry's line says it."""
        return line_of(self.event, replaces=self.replaces, replaced_by=self.replaced_by)


class Journal:
    """The latest events, by number.

    Args:
        kept: How many events are kept.
        clock: Seconds since the epoch.

    """

    def __init__(self, kept: int = KEPT, clock: Callable[[], float] = time.time) -> None:
        self._entries: deque[JournalEntry] = deque(maxlen=kept)
        self._clock = clock
        self._limit = LineLimit[str, Line]()
        self._changed = asyncio.Event()
        self._flush_at = 0.0  # when the next summary line is to be written; 0: none is due
        self._hub: EventHub | None = None

    @property
    def last(self) -> int:
        """The number of the latest event; 0: there was none."""
        return self._entries[-1].number if self._entries else 0

    async def run(self, hub: EventHub) -> None:
        """Record and log what readers of the hub receive, until cancelled or the hub is closed."""
        self._hub = hub
        with hub.reader() as reader:
            async for events in reader:
                self._record(tuple(_to_record(events)), _successors(events))
                del events  # the first ones are all peers, and the next ones may be hours away

    def add(self, events: Iterable[HealthEvent]) -> None:
        """Record and log events of this node."""
        self._record(tuple(events), {})

    def after(self, number: int) -> Iterator[JournalEntry]:
        """Yield the events that are kept after this number; first how many of them are not kept any more.

        A number that was not given yet is that of an earlier run of the agent: all events are later.
        """
        number = number if number <= self.last else 0
        if missing := max(0, self.last - len(self._entries) - number):
            yield JournalEntry(number + missing, self._clock(), EventsDropped(events=missing))
        yield from list(self._entries)[number - self.last :] if number < self.last else ()

    def state(self) -> Iterator[JournalEntry]:
        """Yield the mesh as an observer gets it first, numbered as the latest event; nothing while it is unknown."""
        if self._hub and (contents := self._hub.contents):
            number, now = self.last, self._clock()
            yield from (JournalEntry(number, now, event) for event in EventDiff().take(contents))

    async def wait(self, number: int) -> None:
        """Return once there is an event after this number."""
        while self.last == number:
            await self._changed.wait()

    def _record(self, events: Sequence[MeshEvent | HealthEvent], successors: Mapping[str, str]) -> None:
        now, predecessors = self._clock(), {new: old for old, new in successors.items()}
        for event in events:
            key = event.peer.public_key if isinstance(event, PeerAccepted | PeerRemoved) else ""
            removed = isinstance(event, PeerRemoved)
            self._append(
                JournalEntry(
                    self.last + 1,
                    now,
                    event,
                    replaces="" if removed else predecessors.get(key, ""),
                    replaced_by=successors.get(key, "") if removed else "",
                )
            )
        if events:
            self._changed.set()
            self._changed = asyncio.Event()

    def _append(self, entry: JournalEntry) -> None:
        self._entries.append(entry)
        if (line := entry.line) and line.event != "sync failed":  # the reconciler logs it, with the next attempt
            self._log(line)

    def _log(self, line: Line) -> None:
        """Log a line, at most one a second for one event."""
        if self._limit.admit(line.event, line, time.monotonic()):
            _write(line)
        elif not self._flush_at:
            self._schedule()

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        self._flush_at = self._limit.due_at  # the event loop's clock is time.monotonic
        loop.call_at(self._flush_at, self._flush)

    def _flush(self) -> None:
        """Log what was left out in the last second."""
        self._flush_at = 0.0
        for left_out in self._limit.due(time.monotonic()):
            _write(_summary(left_out))
        if self._limit.due_at < float("inf"):
            self._schedule()


def _write(line: Line) -> None:
    if line.level == "warning":
        log.warning(line.event, **line.fields)
    else:
        log.info(line.event, **line.fields)


def _summary(left_out: LeftOut[Line]) -> Line:
    """Return the line for what was left out; the line itself if it was only one."""
    line, number = left_out
    if number == 1:
        return line
    hint = {name: value for name, value in line.fields.items() if name == "hint"}
    return Line(line.event, {"summary": f"… and {number} more", **hint})


def _to_record(events: Sequence[MeshEvent]) -> Iterator[MeshEvent | HealthEvent]:
    """Return what to record of one step of a reader; of the first, which has the whole mesh, not each peer."""
    first = next((event for event in events if isinstance(event, Resync)), None)
    if first is None:
        yield from events
        return
    yield MeshKnown(peers=first.peers, quarantined=first.quarantined)
    yield from (event for event in events if not isinstance(event, Resync | PeerAccepted))


def _successors(events: Sequence[MeshEvent]) -> dict[str, str]:
    """Return the new key of each peer that has changed its key, by its old one.

    That is a peer which is removed while another key is accepted with one of its subnets.
    """
    removed = {subnet: e.peer.public_key for e in events if isinstance(e, PeerRemoved) for subnet in e.peer.subnets}
    accepted = (event.peer for event in events if isinstance(event, PeerAccepted))
    return {removed[subnet]: peer.public_key for peer in accepted for subnet in peer.subnets if subnet in removed}
