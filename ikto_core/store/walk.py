"""Reads a bucket page by page, from any revision on."""

import math

from ikto_core.errors import NatsError
from ikto_core.store.interfaces import BucketReader, Message

MAX_WALK_BYTES = 2**29
"""A bucket that needs more memory is not read; one with 10,000 peers needs 10 MB."""

MESSAGE_BYTES = 500
"""The memory that a message needs beside key and value, roughly."""


class StaleReadError(NatsError):
    """The messages read are incomplete: a lagging replica answered, or the stream was replaced meanwhile."""


async def walk(reader: BucketReader, start: int, found: dict[str, Message], enough: float = math.inf) -> int:
    """Read pages from `start` into `found`, the latest message by key; return the last revision read.

    All pages are read, or as many as it takes to find `enough` keys.
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
        if page.complete or not page.messages or len(found) >= enough:
            return reached


async def walk_to(reader: BucketReader, goal: int, reached: int, found: dict[str, Message]) -> int:
    """Walk on to the revision `goal` that the leader has; return the last revision read.

    Raises StaleReadError if the leader has a message up to it that no page had.
    """
    if reached < goal:
        reached = await walk(reader, reached + 1, found)
    if reached < goal:
        unread = await reader.first_from(reached + 1)
        if unread and unread.revision <= goal:
            raise StaleReadError(f"a replica answered up to revision {reached} of {goal}")
    return reached
