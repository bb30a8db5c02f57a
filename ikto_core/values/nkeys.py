"""Public keys of NATS (nkeys) as text, and the signatures of their owners. Pure.

Text is base32 of a role's byte, the 32 bytes of an Ed25519 key and a CRC-16 (https://github.com/nats-io/nkeys). PyNaCl
verifies; it is imported on first use, because most commands need no signatures.
"""

import base64
import binascii
from enum import IntEnum

TEXT_CHARACTERS = 56
SIGNATURE_BYTES = 64


class Role(IntEnum):
    """The first byte of a key; its text begins with the member's letter."""

    ACCOUNT = 0  # A…
    OPERATOR = 14 << 3  # O…
    USER = 20 << 3  # U…


def parse_nkey(text: str, role: Role) -> bytes:
    """Return the 32 bytes of a public key; ValueError if the text is not one of this role."""
    try:
        raw = base64.b32decode(text.encode("ascii")) if len(text) == TEXT_CHARACTERS else b""
    except (binascii.Error, UnicodeEncodeError):
        raw = b""
    if len(raw) != 35 or raw[0] != role or binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise ValueError(f"this is not the public key of a NATS {role.name.lower()}")
    return raw[1:33]


def verify_nkey(key: bytes, message: bytes, signature: bytes) -> bool:
    """Return whether the owner of a public key signed a message; False for a signature of another length, too."""
    from nacl.exceptions import CryptoError  # noqa: PLC0415 - start-up time
    from nacl.signing import VerifyKey  # noqa: PLC0415 - start-up time

    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        VerifyKey(key).verify(message, signature)
    except CryptoError:
        return False
    return True


def sign_nkey(seed: str, message: bytes) -> bytes:
    """Return the signature of a message by the owner of a valid seed (SU…), SIGNATURE_BYTES long."""
    from nacl.signing import SigningKey  # noqa: PLC0415 - start-up time

    return SigningKey(_raw_seed(seed)).sign(message).signature


def public_nkey(seed: str) -> bytes:
    """Return the 32 bytes of the public key of a valid seed."""
    from nacl.signing import SigningKey  # noqa: PLC0415 - start-up time

    return bytes(SigningKey(_raw_seed(seed)).verify_key)


def _raw_seed(seed: str) -> bytes:
    return base64.b32decode(seed + "=" * (-len(seed) % 8))[2:34]
