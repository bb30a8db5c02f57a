"""Keys are 32 bytes, parse from their own text, and secret keys are hidden when printed."""

import pickle
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.testing.strategies import preshared_keys, private_keys, public_keys
from ikto_core.values.keys import Key, PresharedKey, PublicKey, SecretKey

ANY_KEYS = private_keys() | public_keys() | preshared_keys()


@given(ANY_KEYS)
def test_a_key_parses_from_its_own_text(key: Key) -> None:
    assert type(key).parse(key.text) == key
    assert key.text == b64encode(key).decode()


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_has_32_bytes(length: int) -> None:
    with pytest.raises(ValueError, match=f"32 bytes, not {length}"):
        Key(bytes(length))


@pytest.mark.parametrize(
    "text", ["", "A", "A" * 43, "A" * 44, "!" * 44, "é" * 44, "A" * 43 + "=\n", " " + "A" * 43 + "=", "A" * 42 + "B="]
)
def test_text_that_is_not_base64_of_32_bytes_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="WireGuard key"):
        Key.parse(text)


def test_noncanonical_base64_is_refused() -> None:
    with pytest.raises(ValueError, match="canonical"):
        Key.parse("A" * 42 + "B=")  # the last two bits belong to no byte


def test_the_all_zero_key_is_not_a_public_key() -> None:
    with pytest.raises(ValueError, match="all-zero"):
        PublicKey.parse(Key(bytes(32)).text)
    assert PresharedKey.parse(Key(bytes(32)).text) == bytes(32)


@given(private_keys() | preshared_keys())
def test_str_repr_and_format_hide_a_secret_key(key: SecretKey) -> None:
    for text in (str(key), repr(key), f"{key}", f"{key!r}", f"{[key]}"):
        assert key.text not in text
        assert key.hex() not in text
        assert repr(bytes(key)) not in text


@given(st.lists(public_keys()))
def test_keys_compare_sort_and_pickle_like_bytes(keys: list[PublicKey]) -> None:
    assert sorted(keys) == sorted(bytes(key) for key in keys)
    assert pickle.loads(pickle.dumps(keys)) == keys  # noqa: S301 - pickled by this test


def test_a_public_key_prints_as_in_wg() -> None:
    key = PublicKey(bytes([1] * 32))
    assert str(key) == key.text
    assert repr(key) == f"PublicKey({key.text})"
