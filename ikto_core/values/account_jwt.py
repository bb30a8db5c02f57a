"""NATS account JWTs of version 2: which users an account has revoked. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from ikto_core.values.nats_jwt import JwtError, signed_content
from ikto_core.values.nkeys import Role

MAX_JWT_BYTES = 2**20
MAX_BRACKETS = 10_000
"""Imports and exports have two each."""

EVERYBODY = "*"
"""Stands for all users among the revocations."""


class _Nats(msgspec.Struct):
    type: Literal["account"]
    version: Literal[2]
    revocations: dict[str, float] = {}


class _Claims(msgspec.Struct):
    sub: str
    nats: _Nats


_decode_claims = msgspec.json.Decoder(_Claims).decode


def parse_revocations(text: str, account: str) -> Mapping[str, float]:
    """Return until when the JWTs of users (U…, or EVERYBODY) must have been issued to be revoked, by an account's JWT.

    In seconds since the epoch. Raises JwtError if the text is not the JWT of this account (A…), signed by an operator.
    """
    content = signed_content(text, Role.OPERATOR, MAX_JWT_BYTES, MAX_BRACKETS)
    try:
        claims = _decode_claims(content)
    except (ValueError, RecursionError) as error:
        raise JwtError(f"is not the JWT of a NATS account: {error}") from None
    if claims.sub != account:
        raise JwtError(f"is of account {claims.sub[:64]}, not {account}")
    return claims.nats.revocations


def is_revoked(revocations: Mapping[str, float], user: str, issued_s: float) -> bool:
    """Return whether a user's JWT of this time is revoked: as in NATS, those issued later are not."""
    return issued_s <= max(revocations.get(user, -1), revocations.get(EVERYBODY, -1))
