"""Reads small files with a size limit; creates, replaces and renames files so that a crash leaves no partial content.

An operator's file is only ever created, never overwritten. The agent's own files are replaced as a whole.
"""

import os
from pathlib import Path
from typing import NamedTuple

from ikto_core.errors import ConfigError


class FileContent(NamedTuple):
    """The content of a file, its permissions and its owner."""

    content: bytes
    mode: int  # permission bits of st_mode
    owner: int  # user id


def read_bounded(path: Path, *, limit: int, missing_hint: str = "") -> FileContent:
    """Return the content of a file of at most `limit` bytes.

    At most `limit` + 1 bytes are read, so an endless file such as `/dev/zero` is an error too.

    Raises:
        ConfigError: The file is missing, too large or can't be read; `missing_hint` is the hint if it is missing.

    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
            status = os.fstat(file.fileno())
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file", hint=missing_hint) from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: is a directory, not a file") from None
    except PermissionError:
        raise ConfigError(f"{path}: can't be read: permission denied", hint="run as the user who owns it") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    if len(content) > limit:
        raise ConfigError(f"{path}: is larger than {limit} bytes")
    return FileContent(content, status.st_mode & 0o7777, status.st_uid)


def create_file(path: Path, content: bytes) -> None:
    """Create a file of mode 0600 and sync it to disk.

    Nothing that exists under this name is changed, not even a symlink. A write that fails leaves no file.

    Raises:
        ConfigError: The name exists already, or the file can't be written.

    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path}: already exists and is not overwritten", hint="choose another path") from None
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"{path}: there is no directory {path.parent}", hint=f"create it: mkdir -p {path.parent}"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from None
    try:
        _write_and_sync(descriptor, content)
        sync_directory(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from None


def replace_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file and sync it to disk; after a power cut it is the old or the new one, complete.

    A symlink at `path` is replaced and never followed, nor one at the name of the new file while it is written. `mode`
    is that of the new file, less the umask. Raises OSError; the old file is unchanged then. Two concurrent writers of
    one file are not supported.
    """
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)  # left by a write that was killed
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        _write_and_sync(descriptor, content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def move_file(old: Path, new: Path) -> None:
    """Rename a file atomically, replacing `new`, and sync the directory. Raises OSError."""
    old.replace(new)
    sync_directory(new.parent)


def _write_and_sync(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Sync a directory, so that a new or changed name in it survives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
