"""X25519 for keys: python-wireguard's where it is installed and works, else PyNaCl's.

Of python-wireguard only the arithmetic is used: its device calls end the process on any error. Neither is imported
before it is needed: most commands need no crypto.
"""

from base64 import b64encode
from functools import cache
from typing import Protocol

# Alice's keys of RFC 7748 section 6.1
_PRIVATE = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
_PUBLIC = bytes.fromhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a")


class X25519(Protocol):
    """What keys need of X25519 (RFC 7748). Keys are 32 bytes."""

    def generate(self) -> bytes:
        """Draw a private key, clamped or not."""
        ...

    def public(self, private: bytes) -> bytes:
        """Derive the public key of a private one, clamped or not."""
        ...


class PyNaClX25519:
    """PyNaCl's."""

    def generate(self) -> bytes:
        """Draw a private key, not clamped."""
        from nacl.utils import random  # noqa: PLC0415 - start-up time

        return random(32)

    def public(self, private: bytes) -> bytes:
        """Multiply the base point."""
        from nacl.bindings import crypto_scalarmult_base  # noqa: PLC0415 - start-up time

        return crypto_scalarmult_base(private)


class PythonWireGuardX25519:
    """python-wireguard's `Key`; it can't be made where that can't be imported, or derives wrongly.

    `Key` takes what is no base64 for the zero key, and its C reports no errors: so it is given the base64 of bytes
    only, and what it makes is looked at, ValueError if that is no key.
    """

    def __init__(self) -> None:
        from python_wireguard import Key, wireguard  # noqa: PLC0415 - optional

        self._key = Key
        self._derive = wireguard.c_library.generate_public_key
        if self.public(_PRIVATE) != _PUBLIC:
            raise ValueError("python-wireguard does not derive what RFC 7748 says")

    def generate(self) -> bytes:
        """Draw a private key, clamped."""
        private, _ = self._key.key_pair()
        return _sound(private.as_bytes().raw[:32])

    def public(self, private: bytes) -> bytes:
        """Multiply the base point."""
        known, public = self._key(b64encode(private).decode()), self._key()
        self._derive(known.as_bytes(), public.as_bytes())
        return _sound(public.as_bytes().raw[:32])


def _sound(key: bytes) -> bytes:
    if not any(key):
        raise ValueError("python-wireguard made the zero key")
    return key


@cache
def curve() -> X25519:
    """Return what keys are made with: python-wireguard if it works here, else PyNaCl."""
    try:
        return PythonWireGuardX25519()
    except Exception:  # noqa: BLE001 - however an optional package is broken, there is another one
        return PyNaClX25519()
