"""Private key files: one line of base64, as `wg genkey` prints it. A rotation adds a file with the next key."""

import binascii
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ikto_core.disk.access import OTHERS_WRITE, Fault, secret_fault
from ikto_core.disk.atomic_file import create_file, move_file, read_bounded, replace_file
from ikto_core.errors import ConfigError
from ikto_core.values.keys import PrivateKey

_MAX_BYTES = 4096


def load_private_key(path: Path) -> PrivateKey:
    """Return the key in a file, clamped. No error shows the file's content.

    Raises:
        ConfigError: The file can't be read, belongs to a user or is accessible to users who are not trusted with it, or
            holds no private key.

    """
    file = read_bounded(path, limit=_MAX_BYTES, missing_hint=f"create it: ikto key generate {path}")
    if fault := key_fault(path, file.mode, file.owner):
        raise ConfigError(f"{path}: {fault.wrong}", hint=fault.command)
    try:
        key = PrivateKey(_decoded(file.content))
    except ValueError as error:
        raise ConfigError(
            f"{path}: holds no private key: {error}", hint="the file is one line, as `wg genkey` prints it"
        ) from None
    if not any(key):  # the kernel reads an all-zero key as "remove the private key"
        raise ConfigError(f"{path}: holds no private key: it is all zero")
    return key.clamped()


def _decoded(content: bytes) -> bytes:
    """Return the bytes of base64, as 0.3.0 reads it: line ends and unused bits do not matter. Raises ValueError."""
    try:
        return b64decode(content.strip().replace(b"\r", b"").replace(b"\n", b""), validate=True)
    except binascii.Error:
        raise ValueError("a WireGuard key is 44 characters of base64") from None


def key_fault(path: Path, mode: int, owner: int) -> Fault | None:
    """Return why a file is not safe for a private key; None if it is. Others may read it, as for 0.3.0 and `wg`."""
    return secret_fault(path, mode, owner, refused=OTHERS_WRITE)


def key_warning(path: Path, mode: int, owner: int) -> Fault | None:
    """Return why a private key's file should have another mode although it is used; None if it has the right one."""
    return None if key_fault(path, mode, owner) else secret_fault(path, mode, owner, refused=0o077)


def write_private_key(path: Path, key: PrivateKey) -> None:
    """Write a key to a new file of mode 0600. Raises ConfigError if the file exists or can't be written."""
    create_file(path, key.text.encode() + b"\n")


def next_key_file(path: Path) -> Path:
    """Return the file of the next key: in the same directory as `path`, so that one rename makes it the current key."""
    path = path.resolve()
    return path.with_name(f"{path.name}.next")


def ensure_next_key(path: Path) -> PrivateKey:
    """Return the key that will replace the one in `path`; generate and save it first if there is none.

    Raises ConfigError if it can't be read or written.
    """
    file = next_key_file(path)
    if not file.exists():
        with _as_config_error(file):
            replace_file(file, PrivateKey.generate().text.encode() + b"\n")
    return load_private_key(file)


def promote_next_key(path: Path) -> None:
    """Replace the key in `path` by the next key, atomically; the old key is not kept. Raises ConfigError."""
    file = next_key_file(path)
    with _as_config_error(file):
        move_file(file, path.resolve())


@contextmanager
def _as_config_error(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = f"the agent's user must be allowed to write into {file.parent}"
        raise ConfigError(f"{file}: can't be written: {error.strerror}", hint=hint) from None
