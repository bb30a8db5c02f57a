"""The JSON members of a record, and which of them may have another type than they should.

0.3.0 reads five members and ignores all others. So a record counts whatever the others are: `null`, or what another
program means by the same name.
"""

import re
from contextlib import suppress
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw

from ikto_core.values.user_jwt import MAX_JWT_BYTES

T = TypeVar("T")

MAX_SUCCESSIONS = 4
"""How many former keys of its node a record may name."""

_ABSENT = Raw()

_ESCAPES = re.compile(
    rb"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\."
)
_NO_CHARACTER = b"\xff"
"""What is read instead of half a surrogate pair: it is no UTF-8, so a text with it is as odd as one that is none."""


class Members(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The JSON members, in the order that 0.3.0 writes."""

    name: str
    public_key: str
    advertise_address: str
    allowed_ip: str
    wg_port: int
    endpoints: list[str] = []
    instance: str = ""
    nonce: str = ""
    agent: str = ""
    next_public_key: str = ""
    lease: int = 0
    address: str = ""
    left: Raw = _ABSENT
    draining: Raw = _ABSENT
    successions: Raw = _ABSENT
    serial: Raw = _ABSENT
    user_jwt: Raw = _ABSENT


class _AnyOptional(Members, kw_only=True):
    """The JSON members of a record whose optional members may have any type."""

    endpoints: Raw = _ABSENT  # type: ignore[assignment]
    instance: Raw = _ABSENT  # type: ignore[assignment]
    nonce: Raw = _ABSENT  # type: ignore[assignment]
    agent: Raw = _ABSENT  # type: ignore[assignment]
    next_public_key: Raw = _ABSENT  # type: ignore[assignment]
    lease: Raw = _ABSENT  # type: ignore[assignment]
    address: Raw = _ABSENT  # type: ignore[assignment]


_decode_strictly = msgspec.json.Decoder(Members).decode
_decode_any_optional = msgspec.json.Decoder(_AnyOptional).decode
_decode_text = msgspec.json.Decoder(str)
encode_json = msgspec.json.Encoder().encode
_OPTIONAL: dict[str, msgspec.json.Decoder[Any]] = {
    "endpoints": msgspec.json.Decoder(list[Raw]),
    "instance": _decode_text,
    "nonce": _decode_text,
    "agent": _decode_text,
    "next_public_key": _decode_text,
    "lease": msgspec.json.Decoder(int),
    "address": _decode_text,
}
"""Members that are absent for a reader if they have another type, such as `null`. 0.3.0 does not read them."""

LENIENT: dict[str, msgspec.json.Decoder[Any]] = {
    "left": msgspec.json.Decoder(bool),
    "draining": msgspec.json.Decoder(bool),
    "successions": msgspec.json.Decoder(Annotated[tuple[str, ...], Meta(max_length=MAX_SUCCESSIONS)]),
    "serial": msgspec.json.Decoder(Annotated[int, Meta(ge=1, le=2**63 - 1)]),
    "user_jwt": msgspec.json.Decoder(Annotated[str, Meta(max_length=MAX_JWT_BYTES)]),
}
"""Members that are ignored if they make no sense, as 0.3.0 ignores them."""


def decode_members(value: bytes) -> Members:
    r"""Return the JSON members; an optional one of another type, or that is not Unicode, is absent.

    Not Unicode are bytes that are not UTF-8, and an escape of half a surrogate pair, such as \ud800: Go's encoding/json
    reads both as U+FFFD, so 0.3.0 accepts such a record.

    Raises what msgspec raises, and UnicodeDecodeError.
    """
    try:
        return _decode_strictly(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = _decode_any_optional(without_half_pairs(value))
    members = {name: _read(decoder, getattr(found, name)) for name, decoder in _OPTIONAL.items()}
    texts = [_read(_decode_text, item) for item in members["endpoints"] or ()]
    members["endpoints"] = [text for text in texts if text]
    required = {name: getattr(found, name) for name in found.__struct_fields__ if name not in _OPTIONAL}
    return Members(**required, **{name: member for name, member in members.items() if member is not None})


def without_half_pairs(value: bytes) -> bytes:
    """Return JSON with a byte that is not UTF-8 for each escape of half a surrogate pair: msgspec fails at those."""
    return _ESCAPES.sub(lambda escape: _NO_CHARACTER if escape["lone"] else escape[0], value)


def read_lenient(wire: Members) -> dict[str, Any]:
    """Return the optional members that are ignored if they make no sense."""
    present = [(name, raw) for name in LENIENT if (raw := getattr(wire, name)) is not _ABSENT]
    found = {name: _read(LENIENT[name], raw) for name, raw in present}
    return {name: member for name, member in found.items() if member is not None}


def _read(decoder: msgspec.json.Decoder[T], raw: Raw) -> T | None:
    """Return a member; None if it is absent or has another type."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return decoder.decode(raw) if raw else None
    return None
