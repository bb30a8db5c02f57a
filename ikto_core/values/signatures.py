"""Signatures by WireGuard keys: XEdDSA, which signs with a Curve25519 key and makes Ed25519 signatures.

https://signal.org/docs/specifications/xeddsa/. The sign bit of the Ed25519 public key is always 0, as there. The
library is imported on first use, because most commands need no signatures. Its calls release Python's lock.
"""

from ikto_core.values.keys import PrivateKey, PublicKey

SIGNATURE_BYTES = 64
NONCE_BYTES = 64


def sign(key: PrivateKey, message: bytes, nonce: bytes) -> bytes:
    """Return the signature of a message, SIGNATURE_BYTES long.

    Args:
        key: The private key, clamped or not.
        message: What to sign.
        nonce: NONCE_BYTES of random data, new for each message.

    """
    from xeddsa import ed25519_priv_sign, priv_force_sign  # noqa: PLC0415 - start-up time

    return ed25519_priv_sign(priv_force_sign(bytes(key), set_sign_bit=False), message, nonce)


def verify(key: PublicKey, message: bytes, signature: bytes) -> bool:
    """Return whether the owner of a public key signed a message; False for a signature of another length, too."""
    from xeddsa import curve25519_pub_to_ed25519_pub, ed25519_verify  # noqa: PLC0415 - start-up time

    if len(signature) != SIGNATURE_BYTES:
        return False
    return ed25519_verify(signature, curve25519_pub_to_ed25519_pub(bytes(key), set_sign_bit=False), message)


def framed(domain: bytes, *parts: bytes) -> bytes:
    """Return a message to sign: the domain and each part after its length, four bytes, big-endian."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (domain, *parts))
