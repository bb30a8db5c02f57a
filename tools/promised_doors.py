"""A plugin of pytest that leaves of the doors what a version promised: `PROMISED_DOORS=FILE pytest -p promised_doors`.

Ikto's own modules still find all names. So a package is tested as with any version that keeps the promise, and no more.
"""

import os
import re
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from types import ModuleType

_OWN = re.compile(r"(ikto_core|ikto_backends)(\.|$)|importlib\.")


def restrict(promised: str) -> None:
    """Let other packages find only the promised names of each door. They get AttributeError for the others."""
    names = defaultdict(set)
    for module, name in re.findall(r"^offers ([\w.]+):(\w+)", promised, re.MULTILINE):
        names[module].add(name)
    for module, allowed in names.items():
        import_module(module).__class__ = _restricted(allowed)


def _restricted(allowed: set[str]) -> type[ModuleType]:
    class PromisedDoor(ModuleType):
        def __getattribute__(self, name: str) -> object:
            if not (name.startswith("__") or name in allowed) and not _OWN.match(_asker()):
                raise AttributeError(f"{name!r} was not promised")
            return super().__getattribute__(name)

    return PromisedDoor


def _asker() -> str:
    """Return the name of the module that asks, beside Python's own import system."""
    frame = sys._getframe(2)  # noqa: SLF001 - Python's only way
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("importlib."):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


if path := os.environ.get("PROMISED_DOORS"):
    restrict(Path(path).read_text())
