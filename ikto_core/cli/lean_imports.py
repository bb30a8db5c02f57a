"""Keeps libraries out of memory that a library of ours would import, but that this program does not use there."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType


@contextmanager
def lean_imports() -> Iterator[None]:
    """Let the imports in the block bring neither rich nor aiohttp.

    structlog imports rich for a form of tracebacks that our logs do not have. nats-py imports aiohttp for WebSockets;
    it is loaded as soon as one is made, and by the next program text that imports it.
    """
    finder = _LoadWhenUsed("aiohttp")
    sys.meta_path.insert(0, finder)
    try:
        with _hidden("rich"):
            yield
    finally:
        sys.meta_path.remove(finder)


class _LoadWhenUsed:
    """Finds one module, which is loaded when an attribute of it is read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module; None: it is another one, or not installed."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._name else None
        if spec and spec.loader:
            spec.loader = LazyLoader(spec.loader)
        return spec


@contextmanager
def _hidden(name: str) -> Iterator[None]:
    """Let nothing in the block find a module, unless it is imported already."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # as documented: an import of it raises ModuleNotFoundError
    try:
        yield
    finally:
        del sys.modules[name]
