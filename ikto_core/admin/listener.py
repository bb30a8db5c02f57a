"""The agent's unix socket: had by one agent only, taken over from a dead one, never from a living one.

Whether somebody listens is the sole proof of life: a socket that a killed agent left refuses connections. The
directory is locked from that question until we listen ourselves, so of two agents that start at one moment the second
finds the first listening. The lock lasts milliseconds and leaves no file behind.
"""

import fcntl
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ikto_core.errors import IktoError

LOCK_TIMEOUT_S = 5.0
LONGEST_PATH = 107
"""Bytes; sockaddr_un has 108, of which the last is NUL (unix(7))."""

BACKLOG = 128
ONLY_OWNER = 0o177
"""The umask that makes a socket 0600 (bind(2) applies it), so that there is no moment in which others may connect."""

FileId = tuple[int, int]
"""Device and inode."""


@contextmanager
def bound(listener: socket.socket, path: Path) -> Iterator[None]:
    """Have a new unix socket listen on `path`, mode 0600; on leaving, the path goes, and the socket stays open.

    Raises IktoError, in one line with what to do, if the path can't be had: another agent answers there, it is no
    socket, its directory is missing, it is too long, or it is forbidden. May block for LOCK_TIMEOUT_S.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise IktoError(
            f"{path}: a unix socket's path has {LONGEST_PATH} bytes at most", hint="give a shorter one with -s"
        )
    with _told(path), _locked(path.parent):
        _clear_the_way(path)
        _listen(listener, path)
        ours = _file_id(path)
    try:
        yield
    finally:
        # An open listener holds on to its inode: no other file can have got the same number meanwhile.
        if _file_id(path) == ours:
            path.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the system says about the path into an error that tells what to do."""
    try:
        yield
    except FileNotFoundError:
        hint = f"create it: mkdir -p {path.parent}"
        raise IktoError(f"{path}: there is no directory {path.parent}", hint=hint) from None
    except NotADirectoryError:
        raise IktoError(f"{path}: {path.parent} is not a directory", hint="give another path with -s") from None
    except PermissionError:
        hint = "give a path that this user may write with -s, or run as the user who owns it"
        raise IktoError(f"{path}: permission denied", hint=hint) from None
    except OSError as error:
        raise IktoError(f"{path}: can't listen there: {error.strerror}", hint="give another path with -s") from None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other agents from starting in this directory meanwhile."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor, directory)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path) -> None:
    give_up_at = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > give_up_at:
                message = f"{directory}: another process holds a lock on it"
                raise IktoError(message, hint="give a path in another directory with -s") from None
            time.sleep(0.02)
        else:
            return


def _clear_the_way(path: Path) -> None:
    """Remove a socket that nobody listens on; whatever else is there stays, and is an error."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise IktoError(f"{path}: exists and is not a socket", hint="give another path with -s, or remove it")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:  # somebody listens, and is behind with accepting
            pass
        raise IktoError(f"{path}: in use by {_holder(probe)}", hint="stop that one, or give another path with -s")


def _holder(probe: socket.socket) -> str:
    """Name the process that listens at the other end (SO_PEERCRED, unix(7)); its number is 0 in another container."""
    credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return f"another agent, process {pid}" if pid > 0 else "another agent"


def _listen(listener: socket.socket, path: Path) -> None:
    before = os.umask(ONLY_OWNER)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    listener.listen(BACKLOG)


def _file_id(path: Path) -> FileId | None:
    """Return which file the path is; None if there is none to be seen."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
