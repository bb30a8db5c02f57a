"""Lock files: of the processes that use one thing, one at a time holds its lock, and no lock survives its process.

The kernel releases a lock (flock(2)) when the process that holds it ends, however that ends. Programs that the process
starts do not inherit it. Other users can't open the file, so they can't take the lock.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import structlog

from ikto_core.errors import IktoError

POLL_S = 0.02
_HOLDER_BYTES = 512
_PID_DIGITS = 20

_held: set[int] = set()
"""The descriptors of this process's locks. A process that it forks closes them: the lock would live on there."""

log = structlog.get_logger(__name__)


class _HeldError(Exception):
    """Another process holds the lock: the one with this id, as it saw that itself (0: not known), and its note."""

    def __init__(self, pid: int, note: str) -> None:
        super().__init__(pid, note)
        self.pid = pid
        self.note = note


@contextmanager
def locked(path: Path, what: str, *, hint: str = "", wait_s: float = 0.0, note: str = "") -> Iterator[None]:
    """Hold the lock file `path` while the block runs; it is removed afterwards.

    Where no lock can be had, as on a disk that is full or read-only, that is logged, and the block runs without one.

    Args:
        path: The lock file, in a directory that exists.
        what: What it protects, for the message.
        hint: What to do if another process holds it.
        wait_s: How long to wait for that process. This blocks.
        note: What the message of others says of this process, beside its id.

    Raises:
        IktoError: Another process holds it; the message has its id and its note.

    """
    try:
        descriptor = _acquire(path, time.monotonic() + wait_s, note)
    except _HeldError as error:
        owner = f"another agent, process {error.pid}" if error.pid else "another agent"
        owner += f" ({error.note})" if error.note else ""
        raise IktoError(f"{what}: in use by {owner}", hint=hint) from None
    except OSError as error:
        log.warning("not locked: a second agent would not be noticed", what=what, path=str(path), error=str(error))
        yield
        return
    _held.add(descriptor)
    try:
        yield
    finally:
        if descriptor in _held:
            _held.discard(descriptor)
            with suppress(OSError):
                path.unlink()  # no other process removes it while it is locked
            os.close(descriptor)


def _acquire(path: Path, give_up_at: float, note: str) -> int:
    """Return a descriptor that holds the lock. Raises _HeldError or OSError."""
    while True:
        with ExitStack() as opened:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            opened.callback(os.close, descriptor)
            _check_private(descriptor)
            taken = _take(descriptor)
            if taken and _is_at(path, descriptor):  # not if its holder has just removed it
                _write_holder(descriptor, note)
                opened.pop_all()
                return descriptor
            if not taken and time.monotonic() >= give_up_at:
                raise _HeldError(*_holder(descriptor))
        time.sleep(POLL_S)


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _check_private(descriptor: int) -> None:
    status = os.fstat(descriptor)
    if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o077:
        raise PermissionError("other users can open this file and lock it: remove it")


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_holder(descriptor: int, note: str) -> None:
    with suppress(OSError):  # on a full disk: only the message of others needs it
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, "\n".join(filter(None, (str(os.getpid()), note))).encode(errors="replace"), 0)


def _holder(descriptor: int) -> tuple[int, str]:
    pid, _, note = os.pread(descriptor, _HOLDER_BYTES, 0).partition(b"\n")
    return int(pid) if pid.isdigit() and len(pid) <= _PID_DIGITS else 0, note.decode(errors="replace")


def _close_held() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_close_held)
