"""Removes secrets from text that others are to read: known ones, in every usual form, and what looks like one.

Pure. A known secret is found as it is, in base64 (also inside a longer text that was encoded), in hex, URL-encoded, and
as in JSON.
"""

import base64
import json
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from urllib.parse import quote, quote_plus

HIDDEN = b"(hidden)"

SHORTEST = 4
"""Bytes; a shorter secret is not searched for, since it would be found in every word."""

_PATTERNS = (
    (rb"eyJ[A-Za-z0-9_=-]{8,}\.[A-Za-z0-9_=-]{8,}(\.[A-Za-z0-9_=-]*)?", HIDDEN),  # a JWT
    (rb"\bS[ACNOUX][A-Z2-7]{56}\b", HIDDEN),  # an nkey seed
    (rb"\b[PX][A-Z2-7]{55}\b", HIDDEN),  # a private nkey
    (rb"-----BEGIN ([A-Z0-9 ]*)PRIVATE KEY-----.*?(-----END ([A-Z0-9 ]*)PRIVATE KEY-----|\Z)", HIDDEN),
    (rb"(?<=://)[^\s/@\"']*@", HIDDEN + b"@"),  # user and password of a URL
    (rb"(?i)(?<![a-z])(private|preshared)[ _-]?key(\"?\s*[:=]\s*\"?)[A-Za-z0-9+/]{42,}=?", rb"\1 key\2" + HIDDEN),
    (rb"(?i)(?<![a-z])(pass(?:word|wd|phrase)?|secret|token|seed)(\"?\s*[:=]\s*\"?)[^\s\",}]+", rb"\1\2" + HIDDEN),
    (rb"(?i)\b(authorization:\s*\w+)\s+\S+", rb"\1 " + HIDDEN),
)


class Redactor:
    """Removes secrets from text.

    Args:
        secrets: The known ones, as the bytes that their files or settings have.

    """

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        found = set(chain.from_iterable(map(forms, secrets)))
        self._known = re.compile(_any_of(found, levels=3)) if found else None

    def redact(self, text: bytes) -> bytes:
        """Return the text without secrets."""
        if self._known:
            text = self._known.sub(HIDDEN, text)
        for pattern, by in _COMPILED:
            text = pattern.sub(by, text)
        return text


_COMPILED = [(re.compile(pattern, re.DOTALL), by) for pattern, by in _PATTERNS]


def _any_of(words: Iterable[bytes], levels: int) -> bytes:
    """Return a pattern for any of these words, the longest first.

    There are thousands of them, and `re` tries one branch after the other: so they are grouped by their first bytes.
    """
    if not levels:
        return b"|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    groups: dict[bytes, set[bytes]] = {}
    for word in words:
        groups.setdefault(word[:1], set()).add(word[1:])
    return b"|".join(b"%s(?:%s)" % (re.escape(first), _any_of(rest, levels - 1)) for first, rest in groups.items())


def forms(secret: bytes) -> Iterator[bytes]:
    """Yield a secret in every form in which it may be written; nothing for one that is too short."""
    secret = secret.strip()
    if len(secret) < SHORTEST:
        return
    yield secret
    yield from (secret.hex().encode(), secret.hex().upper().encode())
    for url in (quote(secret, safe=""), quote_plus(secret), quote(secret)):
        yield from (url.encode(), _ESCAPE.sub(lambda found: found[0].lower(), url).encode())
    text = secret.decode(errors="replace")
    yield from (json.dumps(text)[1:-1].encode(), json.dumps(text, ensure_ascii=False)[1:-1].encode())
    yield from (each for each in _encoded(secret) if len(each) >= SHORTEST)
    if (decoded := _decoded(secret)) is not None:
        yield from (decoded.hex().encode(), decoded.hex().upper().encode())


def _encoded(secret: bytes) -> Iterator[bytes]:
    """Yield the base64 of a secret that begins anywhere in an encoded text: for each of three places, its own part."""
    yield from (base64.b64encode(secret), base64.urlsafe_b64encode(secret))
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(secret)) * 8 // 6
        standard = base64.b64encode(b"\0" * before + secret)[first:last]
        yield from (standard, standard.translate(_TO_URL_SAFE))


_ESCAPE = re.compile("%[0-9A-F]{2}")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _decoded(secret: bytes) -> bytes | None:
    """Return the key that a secret in base64 is, as WireGuard's are; None if it is none."""
    try:
        found = base64.b64decode(secret, validate=True)
    except ValueError:
        return None
    return found if len(found) == 32 else None
