"""The agent's unix socket: one agent per path. A stale socket is replaced, a live one is not.

A socket is live if a process accepts connections on it: the socket of a killed agent refuses them. Other users' files
are never touched, so only agents of one user can meet here. They hold a lock from this check until the new socket
listens: of two that start together, the second finds the first one listening. The lock is in a directory that only
this user may open, and lasts milliseconds.
"""

import errno
import hashlib
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import structlog

from ikto_core.admin.trusted_socket import peer_user
from ikto_core.disk.access import user_name
from ikto_core.disk.lock_file import locked
from ikto_core.disk.runtime_dir import private_runtime_dir
from ikto_core.errors import IktoError

LOCK_TIMEOUT_S = 5.0  # another agent holds the lock for milliseconds
LONGEST_PATH = 107
"""In bytes. sockaddr_un has 108, the last of which is NUL (unix(7))."""

BACKLOG = 128
ONLY_OWNER = 0o177
"""The umask for mode 0600. bind(2) applies it, so that other users can't connect even for a moment."""

FileId = tuple[int, int]
"""Device and inode."""

log = structlog.get_logger(__name__)


class BoundPath(NamedTuple):
    """The path that a socket listens on."""

    path: Path
    file: FileId | None  # None: not known

    def is_there(self) -> bool:
        """Return whether the socket's file is still at the path, so that clients find it."""
        return self.file is not None and _file_id(self.path) == self.file


class _TakenError(IktoError):
    """Another user's file is at the path."""


@contextmanager
def bound(listener: socket.socket, path: Path, fallback: Path | None = None) -> Iterator[BoundPath]:
    """Make an unbound unix socket listen on `path`, mode 0600, and yield where it does. On exit, removes the path only.

    If another user's file is at `path`, that is logged and `fallback` is used, in this user's runtime directory.

    Raises IktoError if the path can't be used: another agent listens on it, it is not a socket, its directory is
    missing, it is too long, permission is denied, or there is no fallback. May block for LOCK_TIMEOUT_S.
    """
    try:
        own_file = _bind(listener, path)
    except _TakenError as error:
        if fallback is None:
            raise
        log.warning("socket path taken, serving another", error=str(error), socket=str(fallback))
        private_runtime_dir()
        path, own_file = fallback, _bind(listener, fallback)
    served = BoundPath(path, own_file)
    try:
        yield served
    finally:
        # The open listener keeps its inode in use: no other file can have the same number.
        if served.is_there():
            path.unlink(missing_ok=True)


def _bind(listener: socket.socket, path: Path) -> FileId | None:
    if len(os.fsencode(path)) > LONGEST_PATH:
        message = f"{path}: too long, the path of a unix socket has at most {LONGEST_PATH} bytes"
        raise IktoError(message, hint="give a shorter path with -s")
    with _ikto_errors(path), _locked(path):
        _remove_stale_socket(path)
        _listen(listener, path)
        return _file_id(path)


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
def _locked(path: Path) -> Iterator[None]:
    """Lock out other agents of this user that start with this path. Without a directory for the lock, lock nothing."""
    name = hashlib.sha256(os.fsencode(path.parent.resolve() / path.name)).hexdigest()[:16]
    try:
        lock = private_runtime_dir() / f"socket-{name}.lock"
    except IktoError as error:
        log.debug("socket path not locked", error=str(error))
        yield
        return
    with locked(lock, str(path), hint="stop that agent, or give another path with -s", wait_s=LOCK_TIMEOUT_S):
        yield


def _remove_stale_socket(path: Path) -> None:
    """Remove this user's socket if no process listens on it.

    Raises IktoError for a live socket and for any other file, _TakenError for another user's.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    if status.st_uid != os.geteuid():
        hint = "remove it, or give another path with -s"
        raise _TakenError(f"{path}: taken by a file of {user_name(status.st_uid)}", hint=hint)
    if not stat.S_ISSOCK(status.st_mode):
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
    """Describe the process that listens at the other end; its id is 0 in another container."""
    pid, _ = peer_user(probe)
    return f"another agent, process {pid}" if pid > 0 else "another agent"


def _listen(listener: socket.socket, path: Path) -> None:
    before = os.umask(ONLY_OWNER)
    try:
        listener.bind(str(path))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            _remove_stale_socket(path)  # raises _TakenError if another user has just put a file there
        raise
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
