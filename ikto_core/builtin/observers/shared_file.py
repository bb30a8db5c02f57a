"""A text file that others own and write, too: changed whole, so that as little as possible is lost whatever happens."""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from ikto_core.plugins import IktoError, sync_directory

MAX_BYTES = 64 * 1024 * 1024  # lists of hosts to block are some megabytes

_NO_NEW_FILE = {errno.EBUSY, errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM}
"""What says that the name can't be given to another file, though this one may be writable: it is mounted there by
itself (a container's /etc/hosts), or its directory, or its owner's name, is not for us."""


class FileBusyError(IktoError):
    """Somebody else writes the file at this moment: try again."""


def change_file(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Give a file the content that `change` makes of its own; one that is the same already is not touched.

    Mode, owner and extended attributes stay; so does a symbolic link: what it points to is changed. Readers see the old
    content or the new one, never a part, and so they do after a power cut. Only a file whose name can't be given to
    another one is written in place, and gets the old content back if that fails.

    Raises IktoError if it can't be had, and FileBusyError. The file is as before then.
    """
    try:
        path = path.resolve(strict=True)
        with _locked(path) as file:
            before = _read(path, file)
            after = change(before)
            if after != before:
                _write(path, before, after)
    except FileNotFoundError:
        raise IktoError(f"{path}: there is no such file", hint="create it, or name another one") from None
    except OSError as error:
        raise IktoError(f"{path}: can't be changed: {error.strerror}") from None


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Yield the open file that has this name; other agents on this host keep away from it meanwhile."""
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        flock(file, LOCK_EX | LOCK_NB)
        if not os.path.samestat(os.fstat(file), path.stat()):
            raise BlockingIOError  # who had the lock gave the name to another file
        yield file
    except BlockingIOError:
        raise FileBusyError(f"{path}: somebody else is writing it") from None
    finally:
        os.close(file)


def _read(path: Path, file: int) -> bytes:
    if os.fstat(file).st_size > MAX_BYTES:
        raise IktoError(f"{path}: is larger than {MAX_BYTES} bytes")
    return b"".join(iter(lambda: os.read(file, 1024 * 1024), b""))


def _write(path: Path, before: bytes, after: bytes) -> None:
    try:
        _replace(path, before, after)
    except OSError as error:
        if error.errno not in _NO_NEW_FILE:
            raise
        _overwrite(path, before, after)


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Give the name to a new file that is like the old one in all but its content. Raises OSError."""
    beside = path.with_name(f".{path.name}.ikto")
    beside.unlink(missing_ok=True)  # left by an agent that was killed; those that live hold the lock
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _fill(descriptor, after)
        owner = path.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
        shutil.copystat(path, beside)  # mode, and labels such as SELinux's
        os.utime(beside)  # but not its time, by which caches know it
        os.fsync(descriptor)
        _refuse_change(path, before)
        beside.replace(path)
    finally:
        os.close(descriptor)
        beside.unlink(missing_ok=True)
    sync_directory(path.parent)


def _overwrite(path: Path, before: bytes, after: bytes) -> None:
    """Write the file in place: all of it, and only then cut it to its length. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        _refuse_change(path, before)
        try:
            _fill(descriptor, after)
            os.fsync(descriptor)
        except OSError:  # a disk that is full: the old content has its place there still
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


def _refuse_change(path: Path, before: bytes) -> None:
    """Raise FileBusyError if an editor, which knows no lock, has written the file since it was read."""
    if path.read_bytes() != before:
        raise FileBusyError(f"{path}: somebody else is writing it")
