"""Finds calls in C that may block the event loop's thread, where their arguments decide whether they do."""

import fcntl
import os
import select
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NamedTuple

Report = Callable[[str, FrameType], None]


class _Waiting(NamedTuple):
    """A function of a module, and whether a call of it waits for something outside this process."""

    module: ModuleType
    name: str
    waits: Callable[..., bool]


def _selects(read: Any, write: Any, other: Any, timeout_s: float | None = None) -> bool:  # noqa: ANN401 - select's
    return timeout_s != 0 and not any(_select(read, write, other, 0))


def _locks(_file: object, operation: int, *_: object) -> bool:
    return operation & (fcntl.LOCK_EX | fcntl.LOCK_SH) != 0 and not operation & fcntl.LOCK_NB


def _reads(file: int, *_: object) -> bool:
    with suppress(OSError):
        mode = os.fstat(file).st_mode
        return not stat.S_ISREG(mode) and os.get_blocking(file) and not any(_select([file], [], [], 0))
    return False


def _waits_for_a_child(_process: int, options: int) -> bool:
    return not options & os.WNOHANG


_select = select.select
_CALLS = (
    _Waiting(select, "select", _selects),
    _Waiting(fcntl, "flock", _locks),
    _Waiting(fcntl, "lockf", _locks),
    _Waiting(os, "read", _reads),
    _Waiting(os, "waitpid", _waits_for_a_child),
)
_LIBRARY = Path(os.__file__).parent


@contextmanager
def waiting_calls_reported(report: Report) -> Iterator[None]:
    """Call `report` at each call in this thread that waits, unless it is one of Python's own library."""
    here = threading.get_ident()
    before = [(call, getattr(call.module, call.name)) for call in _CALLS]
    for call, function in before:
        setattr(call.module, call.name, _reporting(call, function, here, report))
    try:
        yield
    finally:
        for call, function in before:
            setattr(call.module, call.name, function)


def _reporting(call: _Waiting, function: Callable[..., Any], thread: int, report: Report) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - those of the function
        frame = sys._getframe(1)  # noqa: SLF001 - Python's only way
        if threading.get_ident() == thread and not _is_library(frame) and call.waits(*args, **kwargs):
            report(f"{call.module.__name__}.{call.name}", frame)
        return function(*args, **kwargs)

    return called


def _is_library(frame: FrameType) -> bool:
    return Path(frame.f_code.co_filename).is_relative_to(_LIBRARY) and "site-packages" not in frame.f_code.co_filename
