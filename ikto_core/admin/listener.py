"""The agent's unix socket: one agent per path. A stale socket is replaced, a live one is not.

A socket is live if a process accepts connections on it: the socket of a killed agent refuses them. The directory is
locked from this check until the new socket listens, so of two agents that start together, the second finds the first
one listening. The lock lasts milliseconds and leaves no file behind.
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
"""In bytes. sockaddr_un has 108, the last of which is NUL (unix(7))."""

BACKLOG = 128
ONLY_OWNER = 0o177
"""The umask for mode 0600. bind(2) applies it, so that other users can't connect even for a moment."""

FileId = tuple[int, int]
"""Device and inode."""


@contextmanager
def bound(listener: socket.socket, path: Path) -> Iterator[None]:
    """Make an unbound unix socket listen on `path`, mode 0600. On exit, removes the path and leaves the socket open.

    Raises IktoError if the path can't be used: another agent listens on it, it is not a socket, its directory is
    missing, it is too long, or permission is denied. May block for LOCK_TIMEOUT_S.
    """
    if len(os.fsencode(path)) > LONGEST_PATH:
        message = f"{path}: too long, the path of a unix socket has at most {LONGEST_PATH} bytes"
        raise IktoError(message, hint="give a shorter path with -s")
    with _ikto_errors(path), _locked(path.parent):
        _remove_stale_socket(path)
        _listen(listener, path)
        own_file = _file_id(path)
    try:
        yield
    finally:
        # The open listener keeps its inode in use: no other file can have the same number.
        if _file_id(path) == own_file:
            path.unlink(missing_ok=True)


@contextmanager
def _ikto_errors(path: Path) -> Iterator[None]:
    """Translate OSError about the path into IktoError with a hint."""
    try:
        yield
    except FileNotFoundError:
        hint = f"create it: mkdir -p {path.parent}"
        raise IktoError(f"{path}: there is no directory {path.parent}", hint=hint) from None
    except NotADirectoryError:
        raise IktoError(f"{path}: {path.parent} is not a directory", hint="give another path with -s") from None
    except PermissionError:
        hint = "give a path that this user may write with -s, or run as the path's owner"
        raise IktoError(f"{path}: permission denied", hint=hint) from None
    except OSError as error:
        raise IktoError(f"{path}: can't listen: {error.strerror}", hint="give another path with -s") from None


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock out other agents that start in this directory."""
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
                message = f"{directory}: locked by another process"
                raise IktoError(message, hint="give a path in another directory with -s") from None
            time.sleep(0.02)
        else:
            return


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket on which no process listens. Raises IktoError for a live socket and for any other file."""
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
        except BlockingIOError:  # a process listens, and its backlog is full
            pass
        raise IktoError(f"{path}: in use by {_owner(probe)}", hint="stop that agent, or give another path with -s")


def _owner(probe: socket.socket) -> str:
    """Describe the process that listens at the other end (SO_PEERCRED, unix(7)); its ID is 0 in another container."""
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
    """Return the identity of the file at the path; None if it can't be read."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
