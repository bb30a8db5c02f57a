"""Successions: signatures of a former key over the key that follows it, for nodes that missed its announcement."""

import binascii
from base64 import b64decode, b64encode

from ikto_core.mesh.proofs import Proof, signed_message
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.signatures import sign, verify

SUCCESSION_DOMAIN = b"ikto succession v1"


def succession(key: PrivateKey, next_key: PublicKey, bucket: str, kv_key: str, nonce: bytes) -> str:
    """Return the statement that a key names the one that follows it under a KV key; `nonce` as in `sign`."""
    signature = sign(key, signed_message(SUCCESSION_DOMAIN, bucket, kv_key, bytes(next_key)), nonce)
    return b64encode(bytes(key.public()) + signature).decode()


def succeeds(later: Proof, earlier: Proof, bucket: str, kv_key: str) -> bool:
    """Return whether the owner of an earlier record has named the key of a later one.

    It has if it announced the key, or if the later record has a chain of statements from the one key to the other.
    """
    if later.public_key in (earlier.public_key, earlier.next_public_key):
        return True
    statements = [_parse_succession(text) for text in later.successions]
    keys = [key for key, _ in statements]
    if earlier.public_key not in keys:
        return False
    start = keys.index(earlier.public_key)
    followers = [*keys[start + 1 :], later.public_key]
    return all(
        key is not None
        and follower is not None
        and verify(key, signed_message(SUCCESSION_DOMAIN, bucket, kv_key, bytes(follower)), signature)
        for (key, signature), follower in zip(statements[start:], followers, strict=True)
    )


def _parse_succession(text: str) -> tuple[PublicKey | None, bytes]:
    """Return the key that made a statement, and its signature; None if it is not a statement."""
    try:
        raw = b64decode(text, validate=True)
        return PublicKey(raw[:32]), raw[32:]
    except (binascii.Error, ValueError):
        return None, b""
