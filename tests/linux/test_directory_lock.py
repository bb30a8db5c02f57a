"""The lock of a directory: one holder at a time, also if a waiting call is cancelled or fails."""

import asyncio
import os
from pathlib import Path

import pytest

from ikto_core.errors import BackendError
from ikto_core.linux.directory_lock import locked_directory


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as few calls as possible


async def test_one_holder_at_a_time(tmp_path: Path) -> None:
    holders, most = 0, 0

    async def hold() -> None:
        nonlocal holders, most
        async with locked_directory(tmp_path):
            holders += 1
            most = max(most, holders)
            await asyncio.sleep(0)
            holders -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(hold())
    assert (holders, most) == (0, 1)
    assert not os.listdir(tmp_path)  # noqa: PTH208 - in an async function


async def test_a_cancelled_call_that_waits_leaves_nothing_behind(tmp_path: Path) -> None:
    async def wait() -> None:
        async with locked_directory(tmp_path):
            raise AssertionError("it is held")

    async with locked_directory(tmp_path):
        before = open_files()
        waiting = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        assert open_files() == before + 1
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
        assert open_files() == before
    async with locked_directory(tmp_path):
        pass


async def test_a_lock_that_is_never_free_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikto_core.linux.directory_lock.LIMIT_S", 0.05)
    async with locked_directory(tmp_path):
        with pytest.raises(BackendError, match="another program has held its lock") as caught:
            async with locked_directory(tmp_path):
                pytest.fail("it is held")
    assert str(tmp_path) in caught.value.hint


async def test_a_directory_that_does_not_exist_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="none: can't be used: No such file") as caught:
        async with locked_directory(tmp_path / "none"):
            pytest.fail("there is none")
    assert "mkdir" in caught.value.hint


async def test_an_error_of_the_block_comes_out_unchanged(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError, match="mine"):
        async with locked_directory(tmp_path):
            raise TimeoutError("mine")
