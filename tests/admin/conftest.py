"""Where a test's socket is: pytest's own directories can be too long for one."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ikto-") as name:
        yield Path(name)


@pytest.fixture
def path(directory: Path) -> Path:
    return directory / "ikto.sock"
