"""Rights: a record shows that the NATS account of the mesh lets its node write this KV key (decision 19).

It has the JWT of its node's NATS user as `user_jwt`, and as `user_signature` the user's signature of `right_message`.
The proof of the record signs both. So who may log in to write a record is who may own its subnet, whatever the server
or another client has stored. Ikto 0.3.0 ignores both members. Pure.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from ikto_core.mesh.records import PeerRecord
from ikto_core.values.account_jwt import is_revoked
from ikto_core.values.keys import PublicKey
from ikto_core.values.nats_jwt import JwtError
from ikto_core.values.nkeys import Role, parse_nkey, verify_nkey
from ikto_core.values.signatures import framed
from ikto_core.values.user_jwt import UserJwt, allows_to_publish, parse_user_jwt

RIGHT_DOMAIN = b"ikto right v1"

GRACE_S = 7 * 86400.0
"""How long a right outlives its JWT: a renewal that was forgotten is noticed by then, before peers are removed."""

TRUST_PREFIX = "account:"
"""How `record_trust` begins if records need a right."""

MAX_REASON = 200
"""Characters of a reason that may quote what a stranger has written."""

_SIGNATURE_CHARACTERS = 88


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """The right of a node to its KV key, which may end."""

    user: str  # U…
    issued_s: float  # when its JWT was issued, in seconds since the epoch
    expires_s: float  # when its JWT expires; 0: never

    def fault(self, now_s: float, revocations: Mapping[str, float]) -> str:
        """Return why the right has ended; empty: it has not.

        Args:
            now_s: Seconds since the epoch.
            revocations: Until when the JWTs of users must have been issued to be revoked.

        """
        if is_revoked(revocations, self.user, self.issued_s):
            return "its user JWT is revoked"
        if not 0 < self.expires_s <= now_s - GRACE_S:
            return ""
        expired = datetime.fromtimestamp(self.expires_s, UTC)
        return f"its user JWT expired at {expired:%F %T} UTC, more than {GRACE_S / 86400:g} days ago"


class NoRightError(ValueError):
    """A record does not show a right to its KV key; the message is the reason that its quarantine shows."""


class Authority(msgspec.Struct, frozen=True):
    """The NATS account whose users have a right to KV keys, and its keys that sign their JWTs."""

    account: str  # A…, signs too
    signing_keys: frozenset[str] = frozenset()  # A…

    @classmethod
    def of(cls, record_trust: str) -> Self | None:
        """Return the authority of `account:A…[,A…]`, the account and its signing keys; None for another trust.

        Raises ValueError if one of them is not the public key of an account.
        """
        if not record_trust.startswith(TRUST_PREFIX):
            return None
        account, *signing_keys = record_trust.removeprefix(TRUST_PREFIX).split(",")
        for key in (account, *signing_keys):
            parse_nkey(key, Role.ACCOUNT)
        return cls(account, frozenset(signing_keys))


def stored_subject(bucket: str, key: str) -> str:
    """Return the subject under which the stream of a bucket stores a KV key."""
    return f"$KV.{bucket}.{key}"


def issuer_fault(authority: Authority, jwt: UserJwt) -> str:
    """Return why a JWT is not one of the authority's, as in "its user JWT …"; empty: it is."""
    if jwt.account != authority.account:
        return f"is of account {jwt.account[:64]}, not {authority.account}"
    if jwt.issuer != authority.account and jwt.issuer not in authority.signing_keys:
        return f"is signed by {jwt.issuer}, which record_trust does not name"
    return ""


def write_fault(jwt: UserJwt, bucket: str, key: str) -> str:
    """Return why a JWT gives no right to a KV key, as in "its user JWT …"; empty: it gives it."""
    subject = stored_subject(bucket, key)
    return "" if allows_to_publish(jwt, subject) else f"does not allow to publish on {subject}"


def right_message(bucket: str, key: str, public_key: PublicKey, serial: int) -> bytes:
    """Return what the user signs; so its JWT is of no use in a record of another public key or KV key."""
    return framed(RIGHT_DOMAIN, bucket.encode(), key.encode(), bytes(public_key), str(serial).encode())


def right_member(user_signature: bytes) -> bytes:
    """Return the member with the user's signature, after a comma; nothing without a signature."""
    return b',"user_signature":"' + b64encode(user_signature) + b'"' if user_signature else b""


class _Right(msgspec.Struct):
    user_signature: Annotated[str, Meta(max_length=_SIGNATURE_CHARACTERS)] = ""


_decode = msgspec.json.Decoder(_Right).decode


def right_of(authority: Authority, bucket: str, record: PeerRecord, value: bytes, *, verified: bool = False) -> Right:
    """Return the right that a decoded record shows; it may have ended.

    Args:
        authority: Who must have issued the JWT.
        bucket: The bucket's name.
        record: The record.
        value: Its value.
        verified: Whether this value's signatures were verified before.

    Raises:
        NoRightError: The record does not show the right to its KV key.

    """
    if not record.user_jwt:
        raise NoRightError("it has no user JWT, which record_trust requires")
    try:
        jwt = parse_user_jwt(record.user_jwt, verified=verified)
        if fault := issuer_fault(authority, jwt) or write_fault(jwt, bucket, record.key):
            raise JwtError(fault)
    except JwtError as error:
        raise NoRightError(f"its user JWT {error}"[:MAX_REASON]) from None
    message = right_message(bucket, record.key, record.public_key, record.serial)
    if not (verified or verify_nkey(jwt.user_key, message, _signature(value))):
        raise NoRightError("the NATS user of its JWT has not signed it")
    return Right(user=jwt.user, issued_s=jwt.issued_s, expires_s=jwt.expires_s)


def _signature(value: bytes) -> bytes:
    try:
        return b64decode(_decode(value).user_signature, validate=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, binascii.Error, ValueError):
        return b""
