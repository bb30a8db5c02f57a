"""NATS user JWTs of version 2: what one says, and whether its issuer has signed that. Pure and total.

A JWT is written by strangers: its size, its depth and every member that counts are checked, and nothing else is read.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ikto_core.values.nats_jwt import JwtError, signed_content
from ikto_core.values.nkeys import Role, parse_nkey

MAX_JWT_BYTES = 8 * 1024
"""Larger JWTs are refused; one with the permissions of a node has about 1 KB."""

MAX_BRACKETS = 100
"""JWTs with more opening brackets are refused, as in mesh/records.py."""


class UserJwt(msgspec.Struct, frozen=True, kw_only=True):
    """What a user JWT says, signed by its issuer."""

    user: str  # U…
    user_key: bytes  # the same key, 32 bytes
    issuer: str  # A…, the key that signed it
    account: str  # A…, the account that the user belongs to
    issued_s: float  # seconds since the epoch
    expires_s: float  # the same; 0: never
    bearer: bool  # whoever has the JWT may log in: it is a secret
    may_publish: tuple[str, ...]  # subjects, possibly with wildcards
    may_not_publish: tuple[str, ...]


_Time = Annotated[float, Meta(ge=0, le=2**40)]


class _Subjects(msgspec.Struct):
    allow: tuple[str, ...] | None = None
    deny: tuple[str, ...] | None = None


class _Nats(msgspec.Struct):
    type: Literal["user"]
    version: Literal[2]
    issuer_account: str = ""
    bearer_token: bool = False
    pub: _Subjects = msgspec.field(default_factory=_Subjects)


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    nats: _Nats
    iat: _Time = 0
    exp: _Time = 0


_decode_claims = msgspec.json.Decoder(_Claims).decode


def parse_user_jwt(text: str, *, verified: bool = False) -> UserJwt:
    """Return what a user JWT says. Raises JwtError if it is not one, or if its issuer has not signed it.

    `verified`: its signature was verified before.
    """
    content = signed_content(text, Role.ACCOUNT, MAX_JWT_BYTES, MAX_BRACKETS, verified=verified)
    try:
        claims = _decode_claims(content)
        user_key = parse_nkey(claims.sub, Role.USER)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise JwtError(f"is not the JWT of a NATS user: {error}") from None
    return UserJwt(
        user=claims.sub,
        user_key=user_key,
        issuer=claims.iss,
        account=claims.nats.issuer_account or claims.iss,
        issued_s=claims.iat,
        expires_s=claims.exp,
        bearer=claims.nats.bearer_token,
        may_publish=claims.nats.pub.allow or (),
        may_not_publish=claims.nats.pub.deny or (),
    )


def allows_to_publish(jwt: UserJwt, subject: str) -> bool:
    """Return whether a JWT names the right to publish on a subject: it is allowed by name or wildcard, and not denied.

    nats-server allows a user without any allowed subject everything. Here such a user has no right: its JWT may come
    from a signing key whose template in the account's JWT has the permissions.
    """
    return any(matches(pattern, subject) for pattern in jwt.may_publish) and not any(
        matches(pattern, subject) for pattern in jwt.may_not_publish
    )


def matches(pattern: str, subject: str) -> bool:
    """Return whether a subject of NATS matches a pattern: `*` is one token, and `>` at the end one or more."""
    wanted, given = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted[-1], given = "*", given[: len(wanted)]
    return len(wanted) == len(given) and all(one in ("*", other) for one, other in zip(wanted, given, strict=True))
