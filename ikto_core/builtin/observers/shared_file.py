"""Safe changes to a text file that other programs write, too, such as /etc/hosts: atomic wherever possible."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from ikto_core.plugins import IktoError, sync_directory

MAX_BYTES = 64 * 1024 * 1024  # hosts files with block lists have several megabytes

_NOT_REPLACEABLE = {errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM}
"""Errors after which the file can't be replaced, but perhaps written in place: it is a mount point (a container's
/etc/hosts), or this user may not write its directory or set its owner."""


class FileBusyError(IktoError):
    """Another process is writing the file: retry."""


def change_file(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Replace a file's content with what `change` returns for it. Does nothing if the content is the same.

    Mode, owner and extended attributes stay. A symbolic link stays, and its target is changed. Readers see the old or
    the new content, never a mixture, even after a power failure. Only a file that can't be replaced, such as a mount
    point, is written in place; its old content is restored if that fails.

    Raises IktoError if the file can't be read or written, FileBusyError if another process is writing it; the file is
    unchanged then.
    """
    try:
        path = path.resolve(strict=True)
        with _locked(path) as file:
            before = _read(path, file)
            after = change(before)
            if after != before:
                _write(path, before, after)
    except FileNotFoundError:
        raise IktoError(f"{path}: there is no such file", hint="create it, or configure another path") from None
    except OSError as error:
        raise IktoError(f"{path}: can't be changed: {error.strerror}") from None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Yield a descriptor of the file, locked against other agents on this host."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flock(file, LOCK_EX | LOCK_NB)
        if not os.path.samestat(os.fstat(file), path.stat()):
            raise BlockingIOError  # the process that had the lock replaced the file
        yield file
    except BlockingIOError:
        raise FileBusyError(f"{path}: another process is writing it") from None
    finally:
        os.close(file)


def _read(path: Path, file: int) -> bytes:
    if os.fstat(file).st_size > MAX_BYTES:
        raise IktoError(f"{path}: larger than {MAX_BYTES} bytes")
    return b"".join(iter(lambda: os.read(file, 1024 * 1024), b""))


def _write(path: Path, before: bytes, after: bytes) -> None:
    try:
        _replace(path, before, after)
    except OSError as error:
        if error.errno not in _NOT_REPLACEABLE:
            raise
        _overwrite(path, before, after)


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Rename a new file, with the old one's mode, owner and attributes, over the old one. Raises OSError."""
    temporary = path.with_name(f".{path.name}.ikto")
    temporary.unlink(missing_ok=True)  # left by a killed agent: a running one would hold the lock
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _fill(descriptor, after)
        owner = path.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
        shutil.copystat(path, temporary)  # mode, and labels such as SELinux's
        os.utime(temporary)  # a new time, by which caches notice the change
        os.fsync(descriptor)
        _check_unchanged(path, before)
        temporary.replace(path)
    finally:
        os.close(descriptor)
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def _overwrite(path: Path, before: bytes, after: bytes) -> None:
    """Write the file in place, and truncate it only after that. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        _check_unchanged(path, before)
        try:
            _fill(descriptor, after)
            os.fsync(descriptor)
        except OSError:  # for example, the disk is full; the blocks of the old content are still allocated
            os.lseek(descriptor, 0, os.SEEK_SET)
            _fill(descriptor, before)
            raise
    finally:
        os.close(descriptor)


def _fill(descriptor: int, content: bytes) -> None:
    written = 0
    while written < len(content):
        written += os.write(descriptor, content[written:])
    os.ftruncate(descriptor, len(content))


def _check_unchanged(path: Path, before: bytes) -> None:
    """Raise FileBusyError if a program that ignores the lock has written the file since it was read."""
    if path.read_bytes() != before:
        raise FileBusyError(f"{path}: another process is writing it")
