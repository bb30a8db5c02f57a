"""The file of a device's private key: one line of base64, as `wg genkey` prints it; and the one of its next key."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ikto_core.disk.atomic_file import create_file, move_file, read_bounded, replace_file
from ikto_core.errors import ConfigError
from ikto_core.values.keys import PrivateKey

_MAX_BYTES = 4096


def load_private_key(path: Path) -> PrivateKey:
    """Return the key that a file holds, clamped, if nobody but its owner may read it; ConfigError otherwise.

    The file's content never appears in an error.
    """
    file = read_bounded(path, limit=_MAX_BYTES, missing_hint=f"`ikto key generate {path}` makes one")
    if file.mode & 0o077:
        raise ConfigError(
            f"{path}: has mode {file.mode:04o}, which opens the private key to others", hint=f"chmod 600 {path}"
        )
    try:
        key = PrivateKey.parse(file.content.strip().decode("latin-1"))
    except ValueError as error:
        raise ConfigError(
            f"{path}: holds no private key: {error}", hint="it holds one line, as `wg genkey` prints it"
        ) from None
    if not any(key):  # the kernel takes it as "no key" and would strip the device of its own
        raise ConfigError(f"{path}: holds no private key: it is all zero")
    return key.clamped()


def write_private_key(path: Path, key: PrivateKey) -> None:
    """Write a key into a new file of mode 0600; ConfigError if the file exists or can't be written."""
    create_file(path, key.text.encode() + b"\n")


def next_key_file(path: Path) -> Path:
    """Return where the key is kept that is to follow the one in `path`: beside it, as one rename makes it the key."""
    path = path.resolve()
    return path.with_name(f"{path.name}.next")


def draw_next_key(path: Path) -> PrivateKey:
    """Return the key that is to follow the one in `path`; a new one, safely on disk, if there is none yet.

    Raises ConfigError if it can't be read or written.
    """
    file = next_key_file(path)
    if not file.exists():
        with _told(file):
            replace_file(file, PrivateKey.generate().text.encode() + b"\n")
    return load_private_key(file)


def promote_next_key(path: Path) -> None:
    """Make the next key the key in `path`, at once and for good; the old one is nowhere then. Raises ConfigError."""
    file = next_key_file(path)
    with _told(file):
        move_file(file, path.resolve())


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = f"the agent's user must be allowed to write into {file.parent}"
        raise ConfigError(f"{file}: can't be written: {error.strerror}", hint=hint) from None
