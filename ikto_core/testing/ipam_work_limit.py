"""Limits work by counting lines of Python, not time: endless loops stop at the same line on every machine."""

import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, SupportsIndex

READING = 30
"""How many times more lines code may run that reads files, such as YAML: it is not the strategy that is slow."""

_PATHS = sysconfig.get_paths()
_SITES = (_PATHS["purelib"], _PATHS["platlib"])
_READERS = (
    "tomllib",
    "json",
    "configparser.py",
    "csv.py",
    "xml",
    "re",
    "encodings",
    "codecs.py",
    "importlib",
    "tokenize.py",
)
_READER_FILES = tuple(str(Path(_PATHS["stdlib"]) / name) for name in _READERS)


class TooMuchWorkError(AssertionError):
    """More lines of Python were run than allowed; the code may loop forever."""


@contextmanager
def line_limit(lines: int, package: str = "") -> Iterator[None]:
    """Raise TooMuchWorkError when the calls in this context have run more than `lines` lines of Python.

    Code in C counts as the line that calls it. Debuggers and coverage tools are suspended in the context. Lines of
    parsers, of imports and of installed packages other than `package` have a limit of their own, READING times as high.
    """
    left = {True: lines * READING, False: lines}

    def count(frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function returns one
        foreign = _is_foreign(frame.f_code.co_filename, package)

        def count_line(_frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - as above
            left[foreign] -= event in {"call", "line"}
            if left[foreign] < 0 and event == "line":  # a generator that is closed would swallow it in other events
                what = "lines of other packages" if foreign else "lines of Python"
                raise TooMuchWorkError(f"not finished after {lines * (READING if foreign else 1)} {what}")
            return count_line

        return count_line(frame, event, _argument)

    before, sleep = sys.gettrace(), time.sleep
    time.sleep = _no_sleep
    sys.settrace(count)
    try:
        yield
    finally:
        sys.settrace(before)
        time.sleep = sleep


def _no_sleep(seconds: SupportsIndex | float, /) -> None:
    raise TooMuchWorkError(f"the strategy sleeps ({seconds} s): it waits for something outside the request")


def _is_foreign(path: str, package: str) -> bool:
    if path.startswith(("<frozen importlib", *_READER_FILES)):
        return True
    for site in _SITES:
        if path.startswith(f"{site}/"):
            top = path[len(site) + 1 :].partition("/")[0].removesuffix(".py")
            return top not in {package, "ikto_core", "ikto_backends"}
    return False
