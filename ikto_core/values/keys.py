"""WireGuard keys: Curve25519 key values, their base64 text, and key generation."""

import binascii
from typing import Self

from ikto_core.values.x25519 import load_x25519

_ALL_ZERO = bytes(32)


class Key(bytes):
    """32 bytes of key material; compares, hashes and sorts like `bytes`."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Accept exactly 32 bytes; ValueError otherwise."""
        if len(raw) != 32:
            raise ValueError(f"a WireGuard key has 32 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse standard base64 of 32 bytes, as `wg` prints it; ValueError says what is wrong."""
        try:
            raw = binascii.a2b_base64(text, strict_mode=True)
        except (binascii.Error, ValueError):
            raise ValueError("a WireGuard key is 44 characters of base64") from None
        if binascii.b2a_base64(raw, newline=False).decode() != text:  # another encoding of the same bytes
            raise ValueError("a WireGuard key is 44 characters of canonical base64")
        return cls(raw)

    @property
    def text(self) -> str:
        """The key in base64, as `wg` prints it."""
        return binascii.b2a_base64(self, newline=False).decode()  # half the time of b64encode


class PublicKey(Key):
    """A public key: the identity of a peer."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a public key; ValueError if it is malformed or all zero, which no private key produces."""
        key = super().parse(text)
        if key == _ALL_ZERO:
            raise ValueError("an all-zero key is not a public key")
        return key

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"PublicKey({self.text})"


class SecretKey(Key):
    """Key material that `str` and `repr` hide; use `text` to write it to a file or a device."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    __repr__ = __str__


class PresharedKey(SecretKey):
    """A symmetric key for the handshake between two peers; all zero means that there is none."""

    __slots__ = ()


class PrivateKey(SecretKey):
    """The private key of a device."""

    __slots__ = ()

    @classmethod
    def generate(cls) -> Self:
        """Generate a new private key."""
        return cls(load_x25519().generate()).clamped()

    def clamped(self) -> Self:
        """Return the key clamped as in RFC 7748 section 5, as every device shows it; the public key stays the same."""
        raw = bytearray(self)
        raw[0] &= 248
        raw[31] = raw[31] & 127 | 64
        return type(self)(bytes(raw))

    def public(self) -> PublicKey:
        """Derive the public key: X25519 with the base point (RFC 7748 section 6.1)."""
        return PublicKey(load_x25519().public(bytes(self)))
