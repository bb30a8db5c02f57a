"""Work on many peers in slices: between two of them the event loop serves everything else."""

import asyncio
from collections.abc import AsyncIterator, Collection
from itertools import islice
from typing import TypeVar

T = TypeVar("T")

SLICE = 100
"""Peers between two turns of the event loop. One takes 5 to 25 µs, so a slice takes one or two milliseconds."""


async def slices(items: Collection[T]) -> AsyncIterator[list[T]]:
    """Yield the items in lists of at most SLICE, and let the event loop run before each list but the first.

    `items` must not change meanwhile: pass a copy of what may.
    """
    rest = iter(items)
    while chunk := list(islice(rest, SLICE)):
        yield chunk
        if len(chunk) == SLICE:
            await asyncio.sleep(0)
