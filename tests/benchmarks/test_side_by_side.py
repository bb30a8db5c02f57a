"""Ikto and a reference are measured in turns."""

import asyncio
import os
from pathlib import Path

from benchmarks.samples import Pair
from benchmarks.side_by_side import processor_s, processor_time_of, side_by_side, written_bytes


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


def test_bytes_that_a_process_writes_are_counted(tmp_path: Path) -> None:
    before = written_bytes(os.getpid())
    (tmp_path / "file").write_bytes(bytes(2**20))
    assert written_bytes(os.getpid()) - before >= 2**20
