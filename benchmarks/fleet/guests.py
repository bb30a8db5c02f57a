"""Records that the bench itself writes, as nodes that join and leave: the fleet sees them, but they run no agent."""

import asyncio
import time

import msgspec

from benchmarks.fleet.records import record_of, value_of
from ikto_core.store.bucket import Bucket

FIRST = 20_000
"""The number of the first one."""


class Guest(msgspec.Struct):
    """One record, signed when it was made: a write of it takes no time of the bench's process."""

    key: str
    public_key: str
    value: bytes
    left: bytes  # the value that says that its node leaves
    put_at: float = 0.0  # by CLOCK_MONOTONIC
    revision: int = 0


def guests(first: int, count: int, bucket: str) -> list[Guest]:
    """Return `count` guests; `first` is how many there were before."""
    return [_guest(FIRST + first + index, bucket) for index in range(count)]


def _guest(number: int, bucket: str) -> Guest:
    record = record_of(number)
    left = msgspec.structs.replace(record, left=True, serial=2)
    value, left_value = value_of(record, number, bucket), value_of(left, number, bucket)
    return Guest(record.key, record.public_key.text, value, left_value)


async def join(bucket: Bucket, joining: list[Guest], *, per_s: float) -> None:
    """Write the records of guests, so many a second. Raises NatsError."""
    begin = time.monotonic()
    for index, guest in enumerate(joining):
        await asyncio.sleep(max(begin + index / per_s - time.monotonic(), 0))
        guest.put_at = time.monotonic()
        guest.revision = await bucket.put(guest.key, guest.value, expected=0)


async def leave(bucket: Bucket, leaving: list[Guest]) -> None:
    """Withdraw the records of guests, as agents do: first they sign that they leave. Raises NatsError."""
    for guest in leaving:
        guest.put_at = time.monotonic()
        guest.revision = await bucket.put(guest.key, guest.left, expected=guest.revision)
        guest.revision = await bucket.put(guest.key, None, expected=guest.revision)
