"""Keeps libraries out of memory that a library of ours would import, but that this program does not use there."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import PathFinder
from types import ModuleType


@contextmanager
def lean_imports() -> Iterator[None]:
    """Let the imports in the block bring neither rich nor aiohttp.

    structlog imports rich for a form of tracebacks that our logs do not have. nats-py imports aiohttp for WebSockets;
    it is imported as soon as one is made. Whoever imports one of them after the block gets the module itself.
    """
    is_installed = PathFinder.find_spec("aiohttp") is not None
    with _stand_in("rich", None), _stand_in("aiohttp", _ImportedWhenUsed("aiohttp") if is_installed else None):
        yield


class _ImportedWhenUsed(ModuleType):
    """Stands for a module, which is imported when an attribute of it is read.

    LazyLoader of importlib leaves its half a module in sys.modules for all: threads that use it first at once fail.
    """

    def __getattr__(self, name: str) -> object:
        if sys.modules.get(self.__name__) is self:  # in the block already
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def _stand_in(name: str, module: ModuleType | None) -> Iterator[None]:
    """Let imports in the block find this in place of a module, unless it is imported already; None: nothing."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = module  # type: ignore[assignment]  # None as documented: ModuleNotFoundError is raised
    try:
        yield
    finally:
        if name in sys.modules and sys.modules[name] is module:
            del sys.modules[name]
