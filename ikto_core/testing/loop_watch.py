"""Interrupts code that keeps the event loop from turning, wherever it blocks, so that a test always ends.

A thread counts the turns of the loop. If there is none for the whole limit, the loop's thread gets the signal SIGURG,
whose default is to do nothing, and its handler raises LoopBlockedError in the code that blocks: also in `time.sleep`,
in a system call and in an endless loop.
"""

import asyncio
import ctypes
import os
import signal
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ikto_core.testing.verdict import ClauseError

LAST_RESORT = 3
"""How often blocked code may swallow the interruption before the process ends."""

_STDLIB = Path(sysconfig.get_paths()["stdlib"])
on_last_resort: list[Callable[[], None]] = []  # called before the process ends, for example to end pytest's capture


class LoopBlockedError(BaseException):
    """Code did not yield to the event loop. Not an Exception: no `except Exception` must swallow it."""


class _Watch:
    def __init__(self, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        self._loop = loop
        self._limit_s = limit_s
        self._every_s = min(1.0, limit_s / 10)
        self._turns = 0
        self.blocked = False
        self.texts: list[str] = []  # of each interruption
        self.ended = threading.Event()
        self._watched = threading.get_ident()
        self._turn: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self._note_turn()
        threading.Thread(target=self._watch, name="ikto-kit-watch", daemon=True).start()

    def end(self) -> None:
        self.ended.set()
        if self._turn:
            self._turn.cancel()

    def _note_turn(self) -> None:
        self._turns += 1
        self.blocked = False
        self._turn = self._loop.call_later(self._every_s, self._note_turn)

    def _watch(self) -> None:
        """Interrupt when no turn was seen in as many steps as make up the limit: a suspended machine makes no steps."""
        seen, steps, interruptions = -1, 0, 0
        while not self.ended.wait(self._every_s):
            if seen != self._turns:
                seen, steps, interruptions = self._turns, 0, 0
                continue
            steps += 1
            if steps * self._every_s < self._limit_s:
                continue
            if interruptions == LAST_RESORT:
                self._end_the_process()
            steps, interruptions, self.blocked = 0, interruptions + 1, True
            self._interrupt()

    def _interrupt(self) -> None:
        if self._watched == threading.main_thread().ident and hasattr(signal, "pthread_kill"):
            signal.pthread_kill(self._watched, signal.SIGURG)
        else:  # reaches only code in Python
            error = ctypes.py_object(LoopBlockedError)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._watched), error)

    def on_signal(self, _number: int, frame: FrameType | None) -> None:
        if self.blocked and not _is_idle(frame):
            self.blocked = False
            text = f"it did not yield for {self._limit_s:g} s, so it blocks or loops for ever"
            self.texts.append(f"{text}, in {place_of(frame)}")
            self._limit_s /= 10  # if that is swallowed, the next time comes sooner
            raise LoopBlockedError(self.texts[0])

    def _end_the_process(self) -> None:
        for call in on_last_resort:
            call()
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - there is no other way to look at a thread
        text = (
            f"C16: the backend blocks the event loop and swallows every exception, in {place_of(frame)}; ending pytest"
        )
        os.write(2, f"\n{text}\n".encode(errors="replace"))
        os._exit(1)


@contextmanager
def watched_loop(limit_s: float) -> Iterator[None]:
    """Raise LoopBlockedError in code of the block that keeps the running loop from turning for `limit_s`."""
    watch = _Watch(asyncio.get_running_loop(), limit_s)
    in_main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGURG")
    before = signal.signal(signal.SIGURG, watch.on_signal) if in_main else None
    watch.begin()
    try:
        yield
    except Exception as error:
        said = isinstance(error, (ClauseError, BaseExceptionGroup))
        if watch.texts and not said:  # the code took the interruption for an error of its own
            raise LoopBlockedError(watch.texts[0]) from error
        raise
    finally:
        watch.end()
        if in_main:
            signal.signal(signal.SIGURG, before)
    if watch.texts:
        raise LoopBlockedError(watch.texts[0])


@contextmanager
def limited_time(limit_s: float) -> Iterator[None]:
    """Raise LoopBlockedError in code of the block, outside any event loop, that has not ended after `limit_s`."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "pthread_kill"):
        yield
        return

    def interrupt(_number: int, frame: FrameType | None) -> None:
        raise LoopBlockedError(f"it has not ended after {limit_s:g} s, in {place_of(frame)}")

    before = signal.signal(signal.SIGURG, interrupt)
    main = threading.get_ident()
    timer = threading.Timer(limit_s, lambda: signal.pthread_kill(main, signal.SIGURG))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGURG, before)


def place_of(frame: FrameType | None) -> str:
    """Return the innermost place outside Python's library, as `function (file, line N)`."""
    found = frame
    while found and Path(found.f_code.co_filename).is_relative_to(_STDLIB) and _is_library(found):
        found = found.f_back
    if found is None:
        return "code that can't be shown"
    code = found.f_code
    return f"{code.co_qualname} ({Path(code.co_filename).name}, line {found.f_lineno})"


def _is_library(frame: FrameType) -> bool:
    return "site-packages" not in frame.f_code.co_filename


def _is_idle(frame: FrameType | None) -> bool:
    """Whether the loop itself waits for events here."""
    while frame and Path(frame.f_code.co_filename).name == "selectors.py":
        frame = frame.f_back
    return frame is not None and frame.f_code.co_name == "_run_once"
