"""A WireGuard key signs a message; its public key verifies that signature of that message, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.testing.strategies import private_keys
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.signatures import NONCE_BYTES, SIGNATURE_BYTES, sign, verify

NONCE = bytes(NONCE_BYTES)
MESSAGE = b"message"
PRIVATE_KEY = PrivateKey(bytes([7] * 32))
LOW_ORDER = [  # u coordinates of points of low order on Curve25519 (RFC 7748 section 6.1)
    bytes(32),
    bytes([1, *[0] * 31]),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes([0xEC, *[0xFF] * 30, 0x7F]),
]


@given(private_keys(), st.binary(max_size=400), st.binary(min_size=NONCE_BYTES, max_size=NONCE_BYTES))
def test_the_public_key_verifies_what_its_private_key_signed(key: PrivateKey, message: bytes, nonce: bytes) -> None:
    signature = sign(key, message, nonce)
    assert len(signature) == SIGNATURE_BYTES
    assert verify(key.public(), message, signature)
    assert not verify(key.public(), message + b"x", signature)


def test_a_key_signs_alike_whether_it_is_clamped_or_not() -> None:
    signature = sign(PRIVATE_KEY.clamped(), MESSAGE, NONCE)
    assert verify(PRIVATE_KEY.public(), MESSAGE, signature)
    assert verify(PRIVATE_KEY.public(), MESSAGE, sign(PRIVATE_KEY, MESSAGE, NONCE))


@given(st.integers(0, SIGNATURE_BYTES * 8 - 1))
def test_a_signature_with_a_changed_bit_is_not_verified(bit: int) -> None:
    signature = bytearray(sign(PRIVATE_KEY, MESSAGE, NONCE))
    signature[bit // 8] ^= 1 << bit % 8
    assert not verify(PRIVATE_KEY.public(), MESSAGE, bytes(signature))


@given(private_keys())
def test_another_key_does_not_verify_a_signature(key: PrivateKey) -> None:
    assert verify(key.public(), MESSAGE, sign(PRIVATE_KEY, MESSAGE, NONCE)) is (key.public() == PRIVATE_KEY.public())


@pytest.mark.parametrize("length", [0, 32, SIGNATURE_BYTES - 1, SIGNATURE_BYTES + 1])
def test_a_signature_of_another_length_is_not_verified(length: int) -> None:
    assert not verify(PRIVATE_KEY.public(), MESSAGE, bytes(length))


@pytest.mark.parametrize("key", LOW_ORDER)
@pytest.mark.parametrize("signature", [bytes(64), bytes([1, *[0] * 63]), sign(PRIVATE_KEY, MESSAGE, NONCE)])
def test_no_signature_is_verified_by_a_key_of_low_order(key: bytes, signature: bytes) -> None:
    assert not verify(PublicKey(key), MESSAGE, signature)
