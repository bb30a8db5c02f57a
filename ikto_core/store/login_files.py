"""Reads the files for a login at NATS: creds files, seeds and certificates. Imports nothing of NATS."""

import base64
import binascii
import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ikto_core.disk.access import change_fault, secret_fault
from ikto_core.disk.atomic_file import read_bounded
from ikto_core.errors import ConfigError

MAX_FILE_BYTES = 2**20
"""Four times the size of a bundle of all public CAs."""

SECRET_FILES = frozenset({"nats_creds", "nats_nkey_seed", "nats_tls_key"})
"""The settings whose files hold a secret. Other users may read the files of the others, and not change them."""

# The format that `nsc` writes (NATS ADR-14: JWT and seed between lines of dashes); a file may also hold a seed only.
USER_JWT = re.compile(rb"-BEGIN NATS USER JWT-+\s+([\w-]+\.([\w-]+)\.[\w-]+)\s")
USER_SEED = re.compile(rb"^[ \t]*(SU[A-Z2-7]{56})[ \t\r]*$", re.MULTILINE)


class LoginFileError(ConfigError):
    """A file for the login can't be used. It is read again at the next dial."""


class Creds(msgspec.Struct, frozen=True):
    """The content of a creds file."""

    jwt: str
    seed: str  # SU…, with a right checksum
    expires_s: float  # when the JWT expires, in seconds since the epoch; 0: never

    @property
    def text(self) -> str:
        """The credentials in a format that nats-py can read (it hangs on some others)."""
        return f"BEGIN NATS USER JWT\n{self.jwt}\nBEGIN USER NKEY SEED\n{self.seed}\n"

    def __repr__(self) -> str:
        return "Creds(hidden)"


class _JwtClaims(msgspec.Struct):
    exp: Annotated[float, Meta(ge=0)] = 0


def read_login_file(path: str, setting: str) -> bytes:
    """Return the content of a setting's file. Raises LoginFileError if it is missing or if others may change it."""
    try:
        content, mode, owner = read_bounded(Path(path), limit=MAX_FILE_BYTES)
    except ConfigError as error:
        raise LoginFileError(f"{setting}: {error}", hint=error.hint) from None
    if fault := secret_fault(path, mode, owner) if setting in SECRET_FILES else change_fault(path, mode):
        raise LoginFileError(f"{setting}: {path}: {fault.wrong}", hint=fault.command)
    return content


def read_creds(path: str) -> Creds:
    """Return the content of a creds file. Raises LoginFileError if it can't be used."""
    content = read_login_file(path, "nats_creds")
    found = USER_JWT.search(content)
    try:
        if not found:
            raise ValueError
        claims = msgspec.json.decode(base64.urlsafe_b64decode(found[2] + b"=="), type=_JwtClaims)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        raise LoginFileError(
            f"nats_creds: {path}: holds no user JWT", hint="use a creds file as `nsc` writes it"
        ) from None
    return Creds(found[1].decode(), _seed_in(content, path, "nats_creds"), claims.exp)


def read_seed(path: str) -> str:
    """Return the seed in the file of `nats_nkey_seed`. Raises LoginFileError if there is none."""
    return _seed_in(read_login_file(path, "nats_nkey_seed"), path, "nats_nkey_seed")


def _seed_in(content: bytes, path: str, setting: str) -> str:
    found = USER_SEED.search(content)
    if not found:
        raise LoginFileError(
            f"{setting}: {path}: holds no user seed", hint="a user seed has 58 characters and begins with SU"
        )
    raw = base64.b32decode(found[1] + b"======")
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):  # the CRC at the end of an nkey
        raise LoginFileError(f"{setting}: {path}: the seed has a wrong character", hint="copy it again")
    return found[1].decode()
