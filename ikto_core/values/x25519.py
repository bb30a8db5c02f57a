"""X25519 implementations: python-wireguard if it is installed and works, else PyNaCl.

Only the key functions of python-wireguard are used: its device calls exit the process on any error. Both packages are
imported on first use, because most commands need no cryptography.
"""

from base64 import b64encode
from functools import cache
from typing import Protocol

# Alice's keys of RFC 7748 section 6.1
_PRIVATE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")


class X25519(Protocol):
    """Key generation and derivation with X25519 (RFC 7748). Keys are 32 bytes."""

    def generate(self) -> bytes:
        """Generate a private key, clamped or not."""
        ...

    def public(self, private: bytes) -> bytes:
        """Derive the public key of a private key, clamped or not."""
        ...


class PyNaClX25519:
    """X25519 of PyNaCl (libsodium)."""

    def generate(self) -> bytes:
        """Generate a private key, not clamped."""
        from nacl.utils import random  # noqa: PLC0415 - start-up time

        return random(32)

    def public(self, private: bytes) -> bytes:
        """Derive the public key of a private key, clamped or not."""
        from nacl.bindings import crypto_scalarmult_base  # noqa: PLC0415 - start-up time

        return crypto_scalarmult_base(private)


class PythonWireGuardX25519:
    """X25519 of python-wireguard. The constructor raises if it can't be imported or derives a wrong key.

    `Key` reads invalid base64 as the all-zero key, and its C code reports no errors. So only base64 of 32 bytes is
    passed in, and an all-zero result raises ValueError.
    """

    def __init__(self) -> None:
        from python_wireguard import Key, wireguard  # noqa: PLC0415 - optional

        self._key = Key
        self._derive = wireguard.c_library.generate_public_key
        if self.public(_PRIVATE) != _PUBLIC:
            raise ValueError("python-wireguard derives a public key that differs from RFC 7748")

    def generate(self) -> bytes:
        """Generate a private key, clamped."""
        private, _ = self._key.key_pair()
        return _require_nonzero(private.as_bytes().raw[:32])

    def public(self, private: bytes) -> bytes:
        """Derive the public key of a private key, clamped or not."""
        source, public = self._key(b64encode(private).decode()), self._key()
        self._derive(source.as_bytes(), public.as_bytes())
        return _require_nonzero(public.as_bytes().raw[:32])


def _require_nonzero(key: bytes) -> bytes:
    if not any(key):
        raise ValueError("python-wireguard returned the all-zero key")
    return key


@cache
def load_x25519() -> X25519:
    """Return the X25519 implementation to use: python-wireguard if it works on this host, else PyNaCl."""
    try:
        return PythonWireGuardX25519()
    except Exception:  # noqa: BLE001 - an optional package may fail in any way
        return PyNaClX25519()
