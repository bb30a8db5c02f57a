"""Small files: read with a bound; an operator's are written once and never over another, our own replaced whole."""

import os
from pathlib import Path
from typing import NamedTuple

from ikto_core.errors import ConfigError


class FileContent(NamedTuple):
    """What a file held, and who may open it."""

    content: bytes
    mode: int  # permission bits of st_mode


def read_bounded(path: Path, *, limit: int, missing_hint: str = "") -> FileContent:
    """Return a file of at most `limit` bytes; ConfigError says in one line why it can't be had.

    A larger file is never read whole, so that `/dev/zero` is an error like any other.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
            mode = os.fstat(file.fileno()).st_mode & 0o7777
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
    return FileContent(content, mode)


def create_file(path: Path, content: bytes) -> None:
    """Write a new file that only its owner may open, safely on disk when this returns; ConfigError if it can't be.

    An existing file, or whatever else has the name, is never touched; a write that fails leaves no file.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigError(f"{path}: exists already, and is not overwritten", hint="give another path") from None
    except (FileNotFoundError, NotADirectoryError):
        raise ConfigError(
            f"{path}: there is no directory {path.parent}", hint=f"create it: mkdir -p {path.parent}"
        ) from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from None
    try:
        _fill(descriptor, content)
        sync_directory(path.parent)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"{path}: can't be written: {error.strerror}") from None


def replace_file(path: Path, content: bytes) -> None:
    """Give a file new content, safely on disk when this returns; after a power cut it is the old or the new, whole.

    Only its owner may open it. Raises OSError; the file is as before then. Two writers at once are not provided for.
    """
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # left by a write that was killed
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _fill(descriptor, content)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def move_file(old: Path, new: Path) -> None:
    """Give a file the name of another, which goes: at once, and for good when this returns. Raises OSError."""
    old.replace(new)
    sync_directory(new.parent)


def _fill(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Make a new name in the directory outlive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
