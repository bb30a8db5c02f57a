"""`GET /v1/events`: the latest events as lines of JSON, and those to come."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from ikto_core.admin.views import EventView
from ikto_core.admin.web import Answer, HttpError, Request, Write
from ikto_core.observers.journal import Journal, JournalEntry

STREAM_S = 45.0
"""How long a stream lasts; the client asks again with the last number. A connection lasts 60 s at most."""

LINES_AT_ONCE = 100

CONTENT_TYPE = "application/x-ndjson"


class EventStreams:
    """Serves the journal. A client that reads slowly is waited for; it may miss what is not kept meanwhile."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._limits: set[asyncio.Timeout] = set()

    async def serve(self, request: Request) -> Answer:
        """Send the events after the number `after`; with `state`, first the mesh; with `follow`, those to come too."""
        query = request.query
        after = _number(query.get("after", "0"))
        state, follow = _flag(query.get("state", "false")), _flag(query.get("follow", "false"))

        async def stream(write: Write) -> None:
            with suppress(TimeoutError):  # it is over
                async with asyncio.timeout(STREAM_S) as limit:
                    self._limits.add(limit)
                    try:
                        await self._write_all(write, after, state=state, follow=follow)
                    finally:
                        self._limits.discard(limit)

        return Answer(kind=CONTENT_TYPE, stream=stream)

    def close(self) -> None:
        """End every stream: an agent that stops does not wait for its readers."""
        for limit in self._limits:
            if not limit.expired():  # it is over, and its task has not run since
                limit.reschedule(asyncio.get_running_loop().time())

    async def _write_all(self, write: Write, number: int, *, state: bool, follow: bool) -> None:
        if state:
            entries = list(self._journal.state())
            number = entries[-1].number if entries else self._journal.last
            await _write_lines(write, entries)
        while True:
            entries = list(self._journal.after(number))
            number = entries[-1].number if entries else number
            await _write_lines(write, entries)
            if not follow:
                return
            await self._journal.wait(number)


async def _write_lines(write: Write, entries: list[JournalEntry]) -> None:
    for first in range(0, len(entries), LINES_AT_ONCE):
        await write(b"".join(_lines(entries[first : first + LINES_AT_ONCE])))


def _lines(entries: Iterable[JournalEntry]) -> Iterable[bytes]:
    for entry in entries:
        yield event_line(entry)


def event_line(entry: JournalEntry) -> bytes:
    """Return an entry as a line of JSON: the event's own members, after the number and the time."""
    at = datetime.fromtimestamp(entry.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    view = EventView(number=entry.number, time=at, replaces=entry.replaces, replaced_by=entry.replaced_by)
    return msgspec.json.encode(msgspec.to_builtins(view) | msgspec.to_builtins(entry.event)) + b"\n"


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise HttpError(400, "after: give the number of an event")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise HttpError(400, "follow and state: give true or false")
    return text == "true"
