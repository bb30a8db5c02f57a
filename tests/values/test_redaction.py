"""A known secret is found in every form, wherever it is; what looks like a secret is found without being known."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.values.redaction import SHORTEST, Redactor

SECRETS = st.binary(min_size=SHORTEST + 2, max_size=60).filter(lambda each: each == each.strip())
PADDING = st.binary(max_size=7)


@given(SECRETS, PADDING, PADDING)
def test_no_form_of_a_known_secret_is_left(secret: bytes, before: bytes, after: bytes) -> None:
    redactor = Redactor([secret])
    assert secret not in redactor.redact(before + secret + after)
    assert secret.hex().encode() not in redactor.redact((before + secret + after).hex().encode())
    assert secret.hex().upper().encode() not in redactor.redact(secret.hex().upper().encode())
    for encode in (quote, quote_plus):
        assert encode(secret).encode() not in redactor.redact(encode(secret).encode())
    text = json.dumps(secret.decode(errors="replace")).encode()
    assert text[1:-1] not in redactor.redact(text)


@given(SECRETS, PADDING, PADDING)
def test_of_a_longer_text_in_base64_the_secret_can_not_be_decoded(secret: bytes, before: bytes, after: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert b"(hidden)" in Redactor([secret]).redact(encode(before + secret + after))


def test_a_key_in_base64_is_found_in_hex_too() -> None:
    key = bytes(range(32))
    assert Redactor([base64.b64encode(key)]).redact(key.hex().encode()) == b"(hidden)"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("eyJhbGciOiJlZDI1NTE5In0.eyJqdGkiOiJBQUFBIn0.c2lnbmF0dXJl next", "(hidden) next"),
        ("SUAM" + "A" * 54 + " next", "(hidden) next"),
        ("nats://user:pass@h:4222, tls://t@h", "nats://(hidden)@h:4222, tls://(hidden)@h"),
        ("-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\nnext", "(hidden)\nnext"),
        ("-----BEGIN EC PRIVATE KEY-----\nMC4CAQ", "(hidden)"),
        ("PrivateKey = " + "A" * 43 + "=", "Private key = (hidden)"),
        ("  preshared key: " + "A" * 43 + "=", "  preshared key: (hidden)"),
        ('{"nats_password": "x", "nats_token":"y"}', '{"nats_password": "(hidden)", "nats_token":"(hidden)"}'),
        ("Authorization: Bearer abc", "Authorization: Bearer (hidden)"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, left: str) -> None:
    assert Redactor().redact(text.encode()).decode() == left


@pytest.mark.parametrize(
    "text",
    ['{"nats_token": "", "x": 1}', "public key: " + "A" * 43 + "=", "UAAA" + "A" * 52, "http://h:1/a@b", "eyJ.x"],
)
def test_what_is_none_stays(text: str) -> None:
    assert Redactor([b"abc", b""]).redact(text.encode()).decode() == text
