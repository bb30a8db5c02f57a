"""The secrets of a node, as far as this user may read them: what a bug report must not have."""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ikto_core.config.value_checks import split_list
from ikto_core.disk.key_file import next_key_file

SETTINGS = ("nats_password", "nats_token")
FILES = ("private_key_path", "nats_creds", "nats_nkey_seed", "nats_tls_key")
"""The settings that are secret, and those that name a file which is."""

MAX_FILE_BYTES = 2**20

SHORTEST_LINE = 16
"""Bytes; the lines of a file with a secret are secrets too, in case that one of them is printed alone."""

_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|SEED|CRED|JWT|AUTH|COOKIE|PRIVATE", re.IGNORECASE)


def raw_settings(path: Path | None) -> Mapping[str, Any]:
    """Return a configuration file's members as they are, whatever is wrong with them; none if it can't be read."""
    with suppress(OSError, ValueError, RecursionError):
        if path and isinstance(found := json.loads(path.read_bytes()), dict):
            return found
    return {}


def secrets_of(settings: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the secrets that the settings have or name, and those of the environment."""
    for name, value in environ.items():
        if _SECRET_NAME.search(name):
            yield value.encode(errors="surrogateescape")
        yield from _of_url(value)
    given = {**settings, **{name[5:].lower(): value for name, value in environ.items() if name.startswith("IKTO_")}}
    for each in (settings, given):
        yield from (str(each[name]).encode() for name in SETTINGS if each.get(name))
        yield from _of_url(str(each.get("nats_url", "")))
        for name in FILES:
            if isinstance(path := each.get(name), str) and path:
                yield from _of_file(Path(path))
    key = given.get("private_key_path") or "/etc/ikto/private.key"
    for path in (Path(str(key)), next_key_file(Path(str(key)))):
        yield from _of_file(path)


def hides(name: str) -> bool:
    """Return whether a variable of the environment has a name as secrets have."""
    return bool(_SECRET_NAME.search(name))


def _of_url(text: str) -> Iterator[bytes]:
    for server in split_list(text):
        with suppress(ValueError):
            user, _, _ = urlsplit(server).netloc.rpartition("@")
            for part in {user, *user.split(":")} - {""}:
                yield from (part.encode(), unquote(part).encode())


def _of_file(path: Path) -> Iterator[bytes]:
    """Yield the content of a file, each of its longer lines, and what a PEM or a key in base64 encodes."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES)
    except OSError:
        return
    lines = [line.strip() for line in content.splitlines() if not line.startswith(b"-----")]
    yield content
    yield from (line for line in lines if len(line) >= SHORTEST_LINE)
    with suppress(ValueError):
        yield base64.b64decode(b"".join(lines), validate=True)
