"""Fixtures for socket paths: pytest's own directories can be too long for a unix socket."""

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
