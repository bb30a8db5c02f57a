"""Curve25519 keys: the values, their base64 text, and how a private one is drawn."""

import binascii
from base64 import b64decode
from typing import Self

from ikto_core.values.x25519 import curve

_BASEPOINT_MULTIPLY_ZERO = bytes(32)


class Key(bytes):
    """32 bytes of key material; compares, hashes and sorts like `bytes`."""

    __slots__ = ()

    def __new__(cls, raw: bytes) -> Self:
        """Take exactly 32 bytes; ValueError otherwise."""
        if len(raw) != 32:
            raise ValueError(f"a WireGuard key has 32 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read standard base64 of 32 bytes, as `wg` prints it; ValueError says what is wrong."""
        try:
            raw = b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError("a WireGuard key is 44 characters of base64") from None
        if binascii.b2a_base64(raw, newline=False).decode() != text:  # a second spelling of the same bytes
            raise ValueError("a WireGuard key is 44 characters of canonical base64")
        return cls(raw)

    @property
    def text(self) -> str:
        """The key in base64, as `wg` prints it."""
        return binascii.b2a_base64(self, newline=False).decode()  # half the time of b64encode


class PublicKey(Key):
    """Who a peer is."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a usable public key: the all-zero one is no point of the curve that anybody can own."""
        key = super().parse(text)
        if key == _BASEPOINT_MULTIPLY_ZERO:
            raise ValueError("the all-zero key is nobody's public key")
        return key

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"PublicKey({self.text})"


class SecretKey(Key):
    """Key material that is never shown: `str` and `repr` hide it; ask for `text` to write it down."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{type(self).__name__}(hidden)"

    __repr__ = __str__


class PresharedKey(SecretKey):
    """A symmetric key mixed into the handshake of one pair of peers; all zero means none."""

    __slots__ = ()


class PrivateKey(SecretKey):
    """A device's own key."""

    __slots__ = ()

    @classmethod
    def generate(cls) -> Self:
        """Draw a new private key."""
        return cls(curve().generate()).clamped()

    def clamped(self) -> Self:
        """Return the key as RFC 7748 section 5 uses it and as every device shows it; its public key is the same."""
        raw = bytearray(self)
        raw[0] &= 248
        raw[31] = raw[31] & 127 | 64
        return type(self)(bytes(raw))

    def public(self) -> PublicKey:
        """Derive the public key: X25519 of the base point (RFC 7748 section 6.1)."""
        return PublicKey(curve().public(bytes(self)))
