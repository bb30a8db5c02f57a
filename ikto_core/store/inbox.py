"""The subjects on which a node receives answers. Where the next one goes can't be guessed."""

import re
import secrets

DEFAULT_INBOX = "_INBOX"


def inbox_of_node(name: str) -> str:
    """Return the prefix of a node's answers: `_INBOX_` and its name; two names never share one.

    A byte other than ASCII letters, digits, `_` and `-` is written `=XX`, as in quoted-printable text: a dot is `=2E`.
    """
    return f"{DEFAULT_INBOX}_" + re.sub(rb"[^A-Za-z0-9_-]", _quoted, name.encode(errors="surrogateescape")).decode()


def random_token() -> str:
    """Return 32 hex digits from the system's random source."""
    return secrets.token_hex(16)


def _quoted(byte: re.Match[bytes]) -> bytes:
    return b"=%02X" % byte[0][0]
