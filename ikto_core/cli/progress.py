"""One line on stderr about what a command is doing, if that takes longer than a second and stderr is a terminal.

There is no line with `--json`, nor in a pipe or a log. It is erased before anything else is printed. It has neither
colours nor escape sequences, so it is the same with NO_COLOR and on any terminal.
"""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Lock, Thread
from time import monotonic
from typing import TextIO

import click

from ikto_core.values.columns import clipped_to, width_of
from ikto_core.values.text import printable

SHOWN_AFTER_S, SHOWN_EVERY_S = 1.0, 1.0


class Progress:
    """The line of one command. `say` and `clear` may be called from any thread, also after the end."""

    def __init__(self, stream: TextIO | None, text: str, after_s: float = SHOWN_AFTER_S) -> None:
        self._stream, self._text, self._after_s = stream, text, after_s  # no stream: nothing is shown
        self._began = self._quiet_since = monotonic()
        self._shown, self._lock, self._ended = 0, Lock(), Event()

    @property
    def visible(self) -> bool:
        """Return whether there is a terminal that it is for."""
        return self._stream is not None

    def say(self, text: str) -> None:
        """Show another text from now on."""
        self._text = text

    def clear(self) -> None:
        """Erase the line, because something else is printed now. It comes again when the command goes on for long."""
        with self._lock:
            self._quiet_since = monotonic()
            self._write("")

    def run(self) -> None:
        """Show the line until `end`, each time with the seconds since the start."""
        while not self._ended.wait(min(self._after_s, SHOWN_EVERY_S)):
            with self._lock:
                now = monotonic()
                if now - self._quiet_since >= self._after_s and not self._ended.is_set():
                    self._write(f"{self._text} … {now - self._began:.0f} s")

    def end(self) -> None:
        """Erase the line for good."""
        self._ended.set()
        self.clear()

    def _write(self, text: str) -> None:
        shown = clipped_to(printable(text), max(1, shutil.get_terminal_size().columns - 1))
        rest = max(0, self._shown - width_of(shown))
        if self._stream and (shown or rest):
            with suppress(OSError, ValueError):
                self._stream.write("\r" + shown + " " * rest + "\r" * (not shown))
                self._stream.flush()
        self._shown = width_of(shown)


@contextmanager
def progress(text: str, after_s: float = SHOWN_AFTER_S) -> Iterator[Progress]:
    """Say on stderr what the block does, if it takes longer than `after_s`."""
    if not _is_wanted():
        yield Progress(None, text)
        return
    found = Progress(sys.stderr, text, after_s)
    thread = Thread(target=found.run, name="progress", daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.end()
        thread.join()


def _is_wanted() -> bool:
    """Return whether stderr is a terminal, and the command that runs does not print JSON."""
    context = click.get_current_context(silent=True)
    given = context.params if context else {}
    as_json = given.get("as_json") or given.get("output") == "json"
    return not as_json and sys.stderr is not None and sys.stderr.isatty()
