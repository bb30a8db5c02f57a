"""The form and the signature that all JWTs of NATS have. Pure and total.

https://docs.nats.io/running-a-nats-service/configuration/securing_nats/auth_intro/jwt
"""

import binascii
import re
from base64 import urlsafe_b64decode
from typing import Literal

import msgspec

from ikto_core.values.nkeys import Role, parse_nkey, verify_nkey

_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)


class JwtError(ValueError):
    """A JWT can't be used; the message completes "the JWT …"."""


class _Header(msgspec.Struct):
    typ: Literal["JWT", "jwt"]
    alg: Literal["ed25519-nkey"]


class _Issuer(msgspec.Struct):
    iss: str


_decode_header = msgspec.json.Decoder(_Header).decode
_decode_issuer = msgspec.json.Decoder(_Issuer).decode


def signed_content(text: str, issuers: Role, max_bytes: int, max_brackets: int, *, verified: bool = False) -> bytes:
    """Return the JSON of a JWT that the issuer named in it has signed. Raises JwtError.

    Args:
        text: The JWT.
        issuers: The role that its issuer must have.
        max_bytes: Larger ones are refused.
        max_brackets: Ones with more opening brackets are refused: how deep a parser can go depends on the Python.
        verified: Whether its signature was verified before.

    """
    if len(text) > max_bytes:
        raise JwtError(f"has more than {max_bytes} characters")
    form = _FORM.fullmatch(text)
    if not form:
        raise JwtError("is not a JWT")
    try:
        header, content, signature = (urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in form.groups())
        if (header + content).count(b"{") + (header + content).count(b"[") > max_brackets:
            raise JwtError(f"has more than {max_brackets} opening brackets")
        _decode_header(header)
        issuer = parse_nkey(_decode_issuer(content).iss, issuers)
    except JwtError:
        raise
    except (binascii.Error, ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise JwtError(f"is not a JWT of NATS: {error}") from None
    if not (verified or verify_nkey(issuer, text.rpartition(".")[0].encode(), signature)):
        raise JwtError("is not signed by its issuer")
    return content
