"""Reads a bucket page by page, from any revision on."""

from collections.abc import Iterable, Mapping

from ikto_core.errors import NatsError
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import BucketReader, Message

MAX_WALK_BYTES = 2**29
"""A bucket that needs more memory is not read; one with 10,000 peers needs 10 MB."""

MESSAGE_BYTES = 500
"""The memory that a message needs beside key and value, roughly."""


class StaleReadError(NatsError):
    """The messages read are incomplete: a lagging replica answered, or the stream was replaced meanwhile."""


async def walk(reader: BucketReader, start: int, found: dict[str, Message]) -> int:
    """Read all pages from `start` into `found`, the latest message by key; return the last revision read.

    Raises NatsError if the pages do not lead to an end: a message is not above the one before, or there are too many.
    """
    reached, size = start - 1, 0
    while True:
        page = await reader.page(reached + 1)
        for message in page.messages:
            if message.revision <= reached:
                raise NatsError(f"the server sent revision {message.revision} after {reached}")
            found[message.key] = message
            reached = message.revision
            size += MESSAGE_BYTES + len(message.key) + len(message.value or b"")
        if size > MAX_WALK_BYTES:
            raise NatsError(f"the bucket needs more than {MAX_WALK_BYTES} bytes of memory")
        if page.complete or not page.messages:
            return reached


def all_present(known: Mapping[str, int], found: Mapping[str, Message]) -> bool:
    """Return whether every known message (revision by key) still exists or was superseded by a later one."""
    return all(key in found and found[key].revision >= revision for key, revision in known.items())


def contradicts(table: Mapping[str, Entry], revision: int, found: Iterable[Message]) -> bool:
    """Return whether a message at or below the table's revision is unknown to the table."""
    return any(message.revision <= revision and is_unknown(table, message) for message in found)


def is_unknown(table: Mapping[str, Entry], message: Message) -> bool:
    """Return whether the table has no entry like this message and no later one of its key."""
    known = table.get(message.key)
    if known is None or known.revision < message.revision:
        return True
    return known.revision == message.revision and known != message.entry
