"""Watches where keys go: programs, their environment, files, output and logs of this process.

Python reports these steps to audit hooks (PEP 578), in every thread. A hook can't be removed, so there is one for all
tests, which does nothing while no test watches.
"""

import logging
import os
import stat
import sys
import warnings
from binascii import b2a_base64
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path
from tempfile import TemporaryFile

from ikto_core.values.keys import SecretKey

_PROGRAM_EVENTS = {"subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.spawn"}
_LAST_LOOK_EVENTS = {"os.remove", "os.rename", "os.chmod"}
"""After these a file is gone, or was protected too late."""
MOST_FILES = 1000


class SecretWatch:
    """What was found, as text that does not show the secret."""

    def __init__(self, *secrets: SecretKey) -> None:
        self.found: set[str] = set()
        self._texts = {secret.text for secret in secrets} | {secret.hex() for secret in secrets}
        self._texts |= {b2a_base64(secret, newline=False).decode().rstrip("=") for secret in secrets}
        self._texts |= {repr(bytes(secret))[2:-1] for secret in secrets}
        self._raw = {bytes(secret) for secret in secrets}
        self._written: set[Path] = set()

    def look_at_text(self, where: str, text: str) -> None:
        """Note a secret in a text."""
        self.look_at_bytes(where, text.encode(errors="replace"))

    def look_at_bytes(self, where: str, data: bytes) -> None:
        """Note a secret in what was printed."""
        if self._in(data):
            self.found.add(f"a secret key is in {where}")

    def look_at_files(self, directory: Path) -> None:
        """Note files with a secret that others can read: those that were written, and those in a directory."""
        inside = [path for path, _ in zip(directory.rglob("*"), range(MOST_FILES), strict=False)]
        for path in {*self._written, *inside}:
            self._look_at_file(path)

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """Look at one audit event."""
        if event in _PROGRAM_EVENTS:
            self._look_at_program(arguments)
        elif event == "open":
            self._note_written(*arguments[:3])
        elif event in _LAST_LOOK_EVENTS:
            self._look_at_file(_path(arguments[0]))

    def _look_at_program(self, arguments: tuple[object, ...]) -> None:
        for value in (*arguments, dict(os.environ)):  # most programs inherit the environment
            if self._in(str(value).encode(errors="replace")):
                self.found.add("a secret key is in the arguments or the environment of a program")

    def _note_written(self, path: object, mode: object, flags: object) -> None:
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
            self._written.add(_path(path))

    def _look_at_file(self, path: Path) -> None:
        with suppress(OSError, ValueError):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077 and self._in(path.read_bytes()):
                self.found.add(f"a secret key is in {path.name}, a file with mode {stat.S_IMODE(status.st_mode):04o}")

    def _in(self, data: bytes) -> bool:
        lower = data.lower()
        return any(text.encode() in data or text.lower().encode() in lower for text in self._texts) or any(
            raw in data for raw in self._raw
        )


_watches: list[SecretWatch] = []
_hooked: list[bool] = []


@contextmanager
def watched_secrets(*secrets: SecretKey) -> Iterator[SecretWatch]:
    """Yield a watch that sees what this process does with these keys while the block runs."""
    if not _hooked:
        _hooked.append(True)
        sys.addaudithook(_hear)
    watch, text = SecretWatch(*secrets), StringIO()
    with TemporaryFile() as output, _logs_watched(watch), warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: watch.look_at_text("a warning", str(message))
        _watches.append(watch)
        try:
            with redirect_stdout(text), redirect_stderr(text), _descriptors_to(output.fileno()):
                yield watch
        finally:
            _watches.remove(watch)
            output.seek(0)
            watch.look_at_text("what the backend printed", text.getvalue())
            watch.look_at_bytes("what the backend, or a program, printed", output.read())


@contextmanager
def _logs_watched(watch: SecretWatch) -> Iterator[None]:
    """Look at each record of each logger, also of one that passes nothing to the root."""
    root, make = logging.getLogger(), logging.getLogRecordFactory()

    def looked_at(*args: object, **kwargs: object) -> logging.LogRecord:
        record = make(*args, **kwargs)
        watch.look_at_text("a log message", record.getMessage())
        return record

    level = root.level
    logging.setLogRecordFactory(looked_at)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.setLevel(level)
        logging.setLogRecordFactory(make)


@contextmanager
def _descriptors_to(file: int) -> Iterator[None]:
    """Let the descriptors of standard output and standard error lead to a file, for programs, too."""
    saved = [os.dup(number) for number in (1, 2)]
    try:
        for number in (1, 2):
            os.dup2(file, number)
        yield
    finally:
        for number, before in zip((1, 2), saved, strict=True):
            os.dup2(before, number)
            os.close(before)


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    for watch in _watches:
        watch.hear(event, arguments)


def _path(value: object) -> Path:
    return Path(os.fsdecode(value)) if isinstance(value, (str, bytes, os.PathLike)) else Path("/")
