"""Records are byte for byte those of Ikto 0.3.0, and malformed records are refused with a reason."""

import json
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.mesh.proofs import owner_of
from ikto_core.mesh.records import (
    MAX_BRACKETS,
    MAX_ENDPOINTS,
    MAX_RECORD_BYTES,
    PeerRecord,
    RecordError,
    allowed_ip_of_key,
    decode_record,
    encode_record,
    record_key,
)
from ikto_core.testing.strategies import endpoints, peer_records
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey

VECTORS = json.loads((Path(__file__).parent.parent / "data" / "vectors.json").read_text(encoding="utf-8"))
SUBNET = "fd10:0:1::/48"
KEY = record_key(SUBNET)
MEMBERS = {
    "name": "a",
    "public_key": b64encode(bytes([1] * 32)).decode(),
    "advertise_address": "192.0.2.1",
    "allowed_ip": SUBNET,
    "wg_port": 51820,
}


def value(**changes: object) -> bytes:
    """Return the value of a valid record with some members changed; None removes a member."""
    members = MEMBERS | changes
    return json.dumps({name: value for name, value in members.items() if value is not None}).encode()


# -- the bytes of 0.3.0 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["record"]["name"] or "nameless")
def test_golden_records_decode_and_encode_byte_for_byte(vector: dict[str, Any]) -> None:
    record = decode_record(vector["key"], vector["value"].encode())
    expected = vector["record"]
    assert record == PeerRecord(**expected | {"public_key": PublicKey.parse(expected["public_key"])})
    assert record.key == vector["key"]
    assert allowed_ip_of_key(vector["key"]) == expected["allowed_ip"]
    assert encode_record(record) == vector["value"].encode()


def test_the_five_escapes_of_go_are_encoded_and_decoded() -> None:
    name = "<>&\u2028\u2029"
    record = replace(decode_record(KEY, value()), name=name)
    assert encode_record(record).startswith(rb'{"name":"\u003c\u003e\u0026\u2028\u2029",')
    assert decode_record(KEY, encode_record(record)).name == name


@given(peer_records())
def test_an_encoded_record_decodes_to_the_same_record(record: PeerRecord) -> None:
    assert decode_record(record.key, encode_record(record)) == record


@given(peer_records())
def test_unset_optional_members_are_not_encoded(record: PeerRecord) -> None:
    plain = replace(record, endpoints=(), instance="", nonce="", agent="", next_public_key=None, lease=0, address="")
    assert [*json.loads(encode_record(plain))] == ["name", "public_key", "advertise_address", "allowed_ip", "wg_port"]


@given(peer_records())
def test_the_value_decodes_with_the_standard_json_module(record: PeerRecord) -> None:
    members = json.loads(encode_record(record))
    assert members["name"] == record.name
    assert members["allowed_ip"] == record.allowed_ip
    assert members.get("endpoints", []) == [str(endpoint) for endpoint in record.endpoints]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_kv_key_is_padded_base64url_of_the_allowed_ip(text: str) -> None:
    assert record_key(text) == "peers." + urlsafe_b64encode(text.encode()).decode()
    assert allowed_ip_of_key(record_key(text)) == text


# -- tolerated forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unknown", [1, None, "text", [[[]]], {"a": {"b": []}}, 1e300, 10**400])
def test_unknown_members_are_ignored(unknown: object) -> None:
    extended = json.dumps(MEMBERS | {"flags": unknown}).encode()
    assert decode_record(KEY, extended) == decode_record(KEY, value())


def test_the_last_of_duplicate_members_counts_as_in_0_3_0() -> None:
    doubled = value().replace(b'"wg_port": 51820', b'"wg_port": 1, "wg_port": 51821')
    assert decode_record(KEY, doubled).wg_port == 51821


def test_an_advertise_address_is_normalised() -> None:
    assert decode_record(KEY, value(advertise_address="2001:DB8:0::1")).advertise_address == "2001:db8::1"


def test_host_bits_in_the_allowed_ip_stay_in_the_key_and_not_in_the_subnet() -> None:
    text = "fd10:0:1::7/48"
    record = decode_record(record_key(text), value(allowed_ip=text))
    assert (record.allowed_ip, record.subnet) == (text, Prefix.parse(SUBNET))


def test_invalid_endpoints_are_skipped() -> None:
    texts = ["name.example:1", "192.0.2.1:0", "", "[fd00::1]:2", "quic:192.0.2.9:443", "192.0.2.2:3"]
    record = decode_record(KEY, value(endpoints=texts))
    assert record.candidates == (Endpoint("fd00::1", 2), Endpoint("192.0.2.2", 3))


@pytest.mark.parametrize("text", ["", "not a key", b64encode(bytes(32)).decode(), "\0" * 44])
def test_an_invalid_next_public_key_is_ignored(text: str) -> None:
    assert decode_record(KEY, value(next_public_key=text)) == decode_record(KEY, value())


def test_a_next_public_key_is_encoded_after_the_other_members() -> None:
    plain = decode_record(KEY, value())
    announcing = encode_record(replace(plain, next_public_key=PublicKey(bytes([2] * 32))))
    member = f',"next_public_key":"{b64encode(bytes([2] * 32)).decode()}"}}'
    assert announcing.decode() == encode_record(plain).decode().removesuffix("}") + member


@pytest.mark.parametrize(
    ("written", "allowed_ip"), [("fd10:0:1::", "fd10:0:1::/48"), ("fd10:0:1::7", "fd10:0:1::7/48")]
)
def test_the_device_address_of_a_0_3_0_record_is_the_allowed_ip_as_written(written: str, allowed_ip: str) -> None:
    assert decode_record(record_key(allowed_ip), value(allowed_ip=allowed_ip)).device_address == written


def test_the_device_address_is_the_address_of_the_record() -> None:
    assert decode_record(KEY, value(address="FD10:0:1:0::9")).device_address == "fd10:0:1::9"


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1", "fd10:0:2::9", "fd10:0:1::9%eth0", "fd10:0:1::9\n::1 bank", "not an address"]
)
def test_an_address_outside_the_subnet_is_ignored(text: str) -> None:
    assert decode_record(KEY, value(address=text)) == decode_record(KEY, value())


def test_endpoints_beyond_the_maximum_are_ignored() -> None:
    record = decode_record(KEY, value(endpoints=[f"192.0.2.1:{port}" for port in range(1, 100)]))
    assert [endpoint.port for endpoint in record.endpoints] == [*range(1, MAX_ENDPOINTS + 1)]


@given(peer_records(), st.lists(endpoints(), max_size=3))
def test_a_record_has_at_least_one_candidate(record: PeerRecord, listed: list[Endpoint]) -> None:
    fallback = Endpoint(record.advertise_address, record.wg_port)
    assert replace(record, endpoints=tuple(listed)).candidates == (tuple(listed) or (fallback,))


OPTIONAL = ("endpoints", "instance", "nonce", "agent", "next_public_key", "lease", "address")
OTHER_TYPES = (b"null", b"true", b"1.5", b'"x"', b"7", b"[]", b'[["x"]]', b"{}", b'{"a":null}', b"1e999")
NOT_UNICODE = (b'"\xff"', b'["\xff"]', rb'"\ud800"', rb'"\uDC00\ud83d"', rb'["\ud800"]')


@pytest.mark.parametrize("name", [*OPTIONAL, "left", "successions", "serial", "user_jwt"])
@pytest.mark.parametrize("text", [*OTHER_TYPES, *NOT_UNICODE])
def test_an_optional_member_of_another_type_is_absent(name: str, text: bytes) -> None:
    """A program that writes `null` for what it does not have is read as one that leaves it out (golang 37711)."""
    plain = decode_record(KEY, value())
    record = decode_record(KEY, value()[:-1] + b',"%s":%s}' % (name.encode(), text))
    right_type = {b'"x"': str, b"7": int, b"true": bool}.get(text)
    kept = getattr(record, name)
    assert replace(record, **{name: getattr(plain, name)}) == plain, "nothing else changes"
    assert kept == getattr(plain, name) or (right_type and type(kept) is right_type)


def test_optional_members_of_another_type_leave_the_others_as_they_are() -> None:
    record = decode_record(
        KEY, value(endpoints=[None, 5, "192.0.2.1:1", ["x"], ""], instance=[], agent="go", lease="1", address={})
    )
    assert [str(endpoint) for endpoint in record.endpoints] == ["192.0.2.1:1"]
    assert (record.instance, record.agent, record.lease, record.address) == ("", "go", 0, "")


@pytest.mark.parametrize("member", [rb'"other":"\ud800"', rb'"other":{"a":["\udfff"]}', rb'"\ud800":1'])
def test_half_a_surrogate_pair_in_an_unknown_member_changes_nothing_and_the_owner_is_known(member: bytes) -> None:
    """Go's encoding/json reads it as U+FFFD. The owner must be known, or the record would count without its proof."""
    odd = value()[:-1] + b"," + member + b"}"
    assert decode_record(KEY, odd) == decode_record(KEY, value())
    assert owner_of(odd) == owner_of(value()) is not None


def test_a_whole_surrogate_pair_and_an_escaped_backslash_are_read_beside_half_a_pair() -> None:
    record = decode_record(KEY, value()[:-1] + rb',"agent":"\ud83d\ude00\\ud800","nonce":"\ud800"}')
    assert (record.agent, record.nonce) == ("\U0001f600\\ud800", "")


@pytest.mark.parametrize("name", MEMBERS)
def test_null_is_no_value_of_a_required_member(name: str) -> None:
    with pytest.raises(RecordError, match=f"Expected `(str|int)`, got `null` - at `\\$.{name}`"):
        decode_record(KEY, value().replace(json.dumps(MEMBERS[name]).encode(), b"null"))


# -- refused records and their reasons ---------------------------------------------------------------------------------

ZERO_KEY = b64encode(bytes(32)).decode()
NONCANONICAL_KEY = b64encode(bytes(32)).decode()[:-2] + "B="
NESTING_DEPTH = MAX_RECORD_BYTES // 2 - 200


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "not a peer record"),
        (b"\x00\xff\xfe", "not a peer record"),
        (value()[:-1], "not a peer record"),
        (value() + b"x", "not a peer record"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'"text"', "Expected `object`"),
        (value(name=None), "missing required field `name`"),
        (value(public_key=None), "missing required field `public_key`"),
        (value(advertise_address=None), "missing required field `advertise_address`"),
        (value(allowed_ip=None), "missing required field `allowed_ip`"),
        (value(wg_port=None), "missing required field `wg_port`"),
        (value(name=7), "Expected `str`, got `int` - at `$.name`"),
        (value(public_key=[]), "Expected `str`"),
        (value().replace(b'"a"', b'"\xff\xfe"'), "not a peer record"),
        (value().replace(b'"a"', rb'"\ud800"'), "not a peer record"),
        (value(name="x" * MAX_RECORD_BYTES), "larger than 16384"),
        (value()[:-1] + b',"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "larger than 16384"),
        (
            value()[:-1] + b',"x":' + b"[" * NESTING_DEPTH + b"]" * NESTING_DEPTH + b"}",
            "more than 500 opening brackets",
        ),
        (value()[:-1] + b',"x":' + b"[" * MAX_BRACKETS + b"]" * MAX_BRACKETS + b"}", "more than 500 opening brackets"),
        (value()[:-1] + b',"x":' + b"[" * 2 * NESTING_DEPTH, "not a peer record"),
        (value(wg_port=0), "wg_port 0 is not 1 to 65535"),
        (value(wg_port=-1), "wg_port -1 is not"),
        (value(wg_port=65536), "wg_port 65536 is not"),
        (value(wg_port=10**100), "not"),
        (value(wg_port=True), "Expected `int`, got `bool`"),
        (value(wg_port=1.5), "Expected `int`, got `float`"),
        (value(wg_port="51820"), "Expected `int`, got `str`"),
        (value(public_key=""), "32 bytes, not 0"),
        (value(public_key=ZERO_KEY), "all-zero"),
        (value(public_key=NONCANONICAL_KEY), "canonical base64"),
        (value(public_key=b64encode(bytes([1] * 31)).decode()), "32 bytes, not 31"),
        (value(public_key="!" * 44), "44 characters of base64"),
        (value(advertise_address=""), "not an IP address"),
        (value(advertise_address="node.example"), "not an IP address"),
        (value(advertise_address="192.0.2.1/24"), "not an IP address"),
        (value(advertise_address="fe80::1%eth0"), "not an IP address"),
    ],
)
def test_an_invalid_value_is_refused_with_a_reason(value: bytes, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode_record(KEY, value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_nesting_up_to_the_limit_is_accepted() -> None:
    depth = MAX_BRACKETS - 2  # the value itself, and the list of endpoints
    decode_record(KEY, value(endpoints=[])[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}")


@pytest.mark.parametrize("text", ["", "fd10::", "fd10::/129", "10.0.0.0/33", "/48", "fd10::/-1", "name/48", "::1%lo/8"])
def test_an_invalid_allowed_ip_is_refused(text: str) -> None:
    with pytest.raises(RecordError, match=r"form ADDRESS/LENGTH|prefix length \d+ is not 0 to|not an IP address"):
        decode_record(record_key(text), value(allowed_ip=text))


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "canonical"),
        ("mesh", "canonical|not base64url"),
        ("peers", "not base64url"),
        ("peers.", "its key encodes ''"),
        (KEY.rstrip("="), "not base64url"),
        (KEY + "=", "canonical"),
        (KEY + "\n", "canonical"),
        ("peers.!" + KEY.removeprefix("peers."), "canonical"),
        (KEY.removeprefix("peers."), "canonical|not base64url"),
        ("peers.fd10:0:1::/48", "base64url"),
        ("peers.é", "not base64url"),
        ("peers.\ud800", "not base64url"),
        ("peers._w==", "not base64url"),  # one byte, 0xff
        ("peers.YQ==", "its key encodes 'a'"),
        ("peers.YR==", "canonical"),  # the same byte, other unused bits
        (record_key("fd10:0:1:0::/48"), "its key encodes"),  # the same subnet in another form
    ],
)
def test_a_kv_key_that_differs_from_the_value_is_refused(key: str, reason: str) -> None:
    assert KEY.endswith("=")
    with pytest.raises(RecordError, match=reason):
        decode_record(key, value())


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CHANGED = st.dictionaries(st.sampled_from([*MEMBERS, "endpoints", "nonce"]), JSONISH, max_size=3)
ANY_VALUES = st.one_of(
    st.binary(max_size=300),
    CHANGED.map(lambda changes: json.dumps(MEMBERS | changes).encode()),
    st.tuples(st.integers(0, 200), st.binary(max_size=3)).map(
        lambda cut: value()[: cut[0]] + cut[1] + value()[cut[0] :]
    ),
)


@given(st.just(KEY) | st.text(max_size=40) | st.text(max_size=40).map("peers.".__add__), ANY_VALUES)
def test_decoding_any_key_and_value_raises_only_record_errors(key: str, anything: bytes) -> None:
    try:
        record = decode_record(key, anything)
    except RecordError:
        return
    assert record.key == key
    assert decode_record(key, encode_record(record)) == record
