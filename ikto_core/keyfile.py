"""The file of a device's private key: one line of base64, as `wg genkey` prints it."""

from pathlib import Path

from ikto_core.errors import ConfigError
from ikto_core.keys import PrivateKey
from ikto_core.smallfile import create_small_file, read_small_file

_MAX_BYTES = 4096


def load_private_key(path: Path) -> PrivateKey:
    """Return the key that a file holds, clamped, if nobody but its owner may read it; ConfigError otherwise.

    The file's content never appears in an error.
    """
    file = read_small_file(path, limit=_MAX_BYTES, missing_hint=f"`ikto key generate {path}` makes one")
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
    create_small_file(path, key.text.encode() + b"\n")
