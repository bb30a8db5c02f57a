"""Records that show a right: accounts that issue user JWTs, and values that their users have signed."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.rights import Authority, right_message, stored_subject
from ikto_core.values.nkeys import sign_nkey
from tests.samples import KEYS, PRIVATE_KEYS
from tests.store.credentials import ACCOUNT, UNLIMITED, USER, Nkey

BUCKET = "ikto-mesh"


class Account:
    """An account of NATS with one signing key."""

    def __init__(self) -> None:
        self.key, self.signing_key = Nkey(ACCOUNT), Nkey(ACCOUNT)

    @property
    def authority(self) -> Authority:
        return Authority(self.key.public, frozenset({self.signing_key.public}))

    @property
    def record_trust(self) -> str:
        return f"account:{self.key.public},{self.signing_key.public}"

    def jwt(
        self, user: Nkey, allow: Sequence[str], expires_s: float | None = None, *, by: Nkey | None = None, **claims: Any
    ) -> str:
        """Return the JWT of a user that may publish on these subjects; `by`: signed by this key, not the account's."""
        named = {"issuer_account": self.key.public} if by else {}
        permissions = {"type": "user", "pub": {"allow": list(allow)}}
        return (by or self.key).jwt(user, permissions | UNLIMITED | named | claims, expires_s)


def entitled(
    record: PeerRecord,
    serial: int,
    account: Account,
    *,
    user: Nkey | None = None,
    jwt: str | None = None,
    expires_s: float | None = None,
    message: bytes | None = None,
) -> bytes:
    """Return the value of a record with a proof and a right; its public key is one of `KEYS`.

    Args:
        record: The record.
        serial: Its serial.
        account: Who issues the JWT.
        user: The node's NATS user; None: a new one.
        jwt: Its JWT; None: one that allows this record only.
        expires_s: When that expires, in seconds since the epoch; None: never.
        message: What the user signs; None: what it must.

    """
    user = user or Nkey(USER)
    jwt = account.jwt(user, [stored_subject(BUCKET, record.key)], expires_s) if jwt is None else jwt
    message = right_message(BUCKET, record.key, record.public_key, serial) if message is None else message
    signature = sign_nkey(user.seed, message)
    record = replace(record, serial=serial, user_jwt=jwt)
    return signed_value(record, PRIVATE_KEYS[KEYS.index(record.public_key)], BUCKET, bytes(64), signature)
