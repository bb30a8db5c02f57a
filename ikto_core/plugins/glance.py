"""Whether anything but Ikto may bring commands. importlib.metadata says it too, and takes a third of `ikto --help`."""

import os
import re
import sys
from importlib.machinery import PathFinder

_BRINGS_COMMANDS = re.compile(rb"\[\W*ikto(\.commands)?\W*\]")
"""Wherever a line begins: importlib.metadata ends lines, and strips them, at more than \\n and spaces."""


def may_bring_commands() -> bool:
    """Return False if no installed distribution has an entry point that may be a command.

    True where it is not certain: importlib.metadata knows more forms of distributions, such as eggs and archives.
    """
    others = (finder for finder in sys.meta_path if finder is not PathFinder)
    if any(hasattr(finder, "find_distributions") for finder in others):
        return True
    return any(_directory_may(path or os.curdir) for path in dict.fromkeys(sys.path))


def _directory_may(path: str) -> bool:
    try:
        names = os.listdir(path)  # noqa: PTH208 - pathlib takes as long to import as all of this
    except FileNotFoundError:
        return False
    except OSError:  # an archive, for example
        return True
    return any(_distribution_may(os.path.join(path, name)) for name in names if _is_distribution(name))  # noqa: PTH118


def _is_distribution(name: str) -> bool:
    return name.lower().endswith((".dist-info", ".egg-info", ".egg"))


def _distribution_may(path: str) -> bool:
    if path.lower().endswith(".egg"):
        return True
    try:
        with open(os.path.join(path, "entry_points.txt"), "rb") as file:  # noqa: PTH118, PTH123 - as above
            return _BRINGS_COMMANDS.search(file.read()) is not None
    except (FileNotFoundError, NotADirectoryError):  # it has none; an .egg-info may be a file
        return False
    except OSError:
        return True
