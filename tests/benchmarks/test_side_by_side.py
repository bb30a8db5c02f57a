"""Ikto and a reference are measured in turns."""

import asyncio
import os

from benchmarks.samples import Pair
from benchmarks.side_by_side import processor_s, processor_time_of, resident_bytes, side_by_side


async def test_the_sides_alternate_and_so_does_the_first() -> None:
    calls: list[str] = []

    async def note(name: str, value: float) -> float:
        calls.append(name)
        return value

    async def begin() -> None:
        calls.append("begin")

    pair = await side_by_side(lambda: note("ikto", 1.0), lambda: note("reference", 2.0), rounds=2, before=begin)
    assert calls == ["begin", "ikto", "reference", "begin", "reference", "ikto"]
    assert pair == Pair([1.0, 1.0], [2.0, 2.0])


async def test_without_a_reference_only_one_side_is_measured() -> None:
    async def measure() -> float:
        return 1.0

    assert await side_by_side(measure, None, rounds=3) == Pair([1.0, 1.0, 1.0], [])


async def test_the_processor_time_of_a_process_grows_with_what_it_does_and_not_while_it_waits() -> None:
    async def work() -> None:
        sum(range(2_000_000))

    worked = await processor_time_of(os.getpid(), work)()
    idle = await processor_time_of(os.getpid(), lambda: asyncio.sleep(0.05))()
    assert 0 <= idle < worked <= processor_s(os.getpid())


def test_memory_is_counted_in_bytes() -> None:
    before = resident_bytes()
    block = bytearray(os.urandom(2**24))
    assert resident_bytes() - before > 2**23
    assert len(block) == 2**24
