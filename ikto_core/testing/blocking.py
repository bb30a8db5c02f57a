"""Finds calls that may block the event loop's thread, by looking at what is called and not at how long it takes."""

import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from ikto_core.testing.loop_watch import LoopBlockedError, place_of
from ikto_core.testing.waiting import waiting_calls_reported

_SOCKET_CALLS = {"recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "connect", "_accept", "sendall", "sendto",
                 "sendmsg", "send"}  # fmt: skip
_LIBRARY = (threading.__file__, futures.__file__, queue.__file__, subprocess.__file__, socket.__file__, os.__file__)
_BUILTINS: Mapping[object, str] = {
    time.sleep: "time.sleep", os.system: "os.system", os.wait: "os.wait", socket.gethostbyname: "socket.gethostbyname",
    socket.gethostbyname_ex: "socket.gethostbyname_ex", socket.gethostbyaddr: "socket.gethostbyaddr",
    socket.getnameinfo: "socket.getnameinfo",
}  # fmt: skip


def _not_done(frame: FrameType) -> bool:
    return not frame.f_locals["self"].done()


def _not_set(frame: FrameType) -> bool:
    return not frame.f_locals["self"].is_set()


def _alive(frame: FrameType) -> bool:
    thread: threading.Thread = frame.f_locals["self"]
    return thread.is_alive()


def _process_alive(frame: FrameType) -> bool:
    process: BaseProcess = frame.f_locals["self"]
    return process.is_alive()


def _empty(frame: FrameType) -> bool:
    waits: bool = frame.f_locals.get("block", True) and frame.f_locals["self"].empty()
    return waits


def _always(_: FrameType) -> bool:
    return True


_FUNCTIONS: Mapping[CodeType, tuple[str, Callable[[FrameType], bool]]] = {
    futures.Future.result.__code__: ("Future.result of concurrent.futures", _not_done),
    futures.Future.exception.__code__: ("Future.exception of concurrent.futures", _not_done),
    futures.wait.__code__: ("concurrent.futures.wait", _always),
    threading.Event.wait.__code__: ("threading.Event.wait", _not_set),
    threading.Thread.join.__code__: ("threading.Thread.join", _alive),
    threading.Condition.wait.__code__: ("threading.Condition.wait", _always),
    BaseProcess.join.__code__: ("multiprocessing.Process.join", _process_alive),
    queue.Queue.get.__code__: ("queue.Queue.get", _empty),
    subprocess.Popen.wait.__code__: ("subprocess.Popen.wait", _always),
    subprocess.Popen.communicate.__code__: ("subprocess.run or Popen.communicate", _always),
    socket.getaddrinfo.__code__: ("socket.getaddrinfo", _always),
    HTTPConnection.connect.__code__: ("an HTTP request", _always),
}


class BlockingCalls:
    """The calls that were found, as text: what is called, and where."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def look(self, frame: FrameType, event: str, argument: Any) -> None:  # noqa: ANN401 - a profile function's
        """Raise LoopBlockedError at a call that may block. This is a profile function."""
        what = ""
        if event == "c_call":
            what = _blocking_builtin(argument)
        elif event == "call" and (known := _FUNCTIONS.get(frame.f_code)):
            name, waits = known
            timeout_s = frame.f_locals.get("timeout")
            what = name if (timeout_s is None or timeout_s > 0) and waits(frame) else ""
        if what and (caller := _caller(frame)):
            self.report(what, caller)

    def report(self, what: str, frame: FrameType) -> None:
        """Note a call that may block. Raises LoopBlockedError."""
        text = f"it calls {what} in {place_of(frame)}"
        self.found.append(text)
        raise LoopBlockedError(text)


@contextmanager
def blocking_calls() -> Iterator[BlockingCalls]:
    """Yield what may have blocked this thread while the block ran, tasks of the loop included."""
    calls = BlockingCalls()
    before = sys.getprofile()
    sys.setprofile(calls.look)
    try:
        with waiting_calls_reported(calls.report):
            yield calls
    finally:
        sys.setprofile(before)


def _blocking_builtin(called: object) -> str:
    try:
        if called in _BUILTINS:
            return _BUILTINS[called]
    except TypeError:  # not hashable
        return ""
    owner = getattr(called, "__self__", None)
    name = getattr(called, "__name__", "")
    if isinstance(owner, socket.socket) and name in _SOCKET_CALLS and owner.fileno() >= 0 and owner.gettimeout() != 0:
        return f"{name} of a blocking socket"
    if isinstance(owner, queue.SimpleQueue) and name == "get" and owner.empty():
        return "queue.SimpleQueue.get"
    return ""


def _caller(frame: FrameType | None) -> FrameType | None:
    """Return who waits: the innermost frame outside Python's own modules for threads and processes.

    None: asyncio waits, which knows what it does, or a thread that has just been started.
    """
    while frame:
        path = Path(frame.f_code.co_filename)
        if path.parent.name == "asyncio" or frame.f_code is threading.Thread.start.__code__:
            return None
        if not (str(path) in _LIBRARY or path.parent.name in {"concurrent", "futures", "multiprocessing"}):
            return frame
        frame = frame.f_back
    return None
