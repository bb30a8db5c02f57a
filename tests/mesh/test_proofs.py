"""A value proves what its public key's owner has signed for its bucket and KV key, and nothing else."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.mesh.proofs import (
    Proof,
    ProofIndex,
    ProofResult,
    has_proof,
    judge,
    owner_of,
    signed_value,
)
from ikto_core.mesh.records import PeerRecord, decode_record, encode_record
from ikto_core.mesh.successions import succeeds, succession
from ikto_core.testing.strategies import peer_records
from ikto_core.values.keys import PrivateKey
from tests.samples import KEY, KEYS, OTHER_KEY, PRIVATE_KEYS, record, signed

BUCKET = "ikto-mesh"
NONCE = bytes(64)
RECORD = record("10.0.0.16/28")
VALUE = signed(RECORD, 7)
PROOF = Proof(public_key=KEY, serial=7)
PROVED = ProofResult(record=replace(RECORD, serial=7), proof=PROOF)
PROOF_MEMBER = VALUE[VALUE.index(b',"proof":') : -1]

# Written once, by this code; a change that reads or writes them differently breaks meshes of several versions.
FIRST_KEY, NEXT_KEY = (PrivateKey(bytes([number] * 32)).clamped() for number in (7, 8))
GOLDEN_RECORD = replace(
    record("10.0.0.16/28", FIRST_KEY.public(), "node <1>", instance="run"), nonce="n", agent="ikto 0.4.0", serial=7
)
GOLDEN = (
    rb'{"name":"node \u003c1\u003e","public_key":"E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20=",'
    rb'"advertise_address":"192.0.2.1","allowed_ip":"10.0.0.16/28","wg_port":51820,"instance":"run","nonce":"n",'
    rb'"agent":"ikto 0.4.0","serial":7,'
    rb'"proof":"i/rv2uNVHOlnhRw5TO3FFXIp7B312Hf2xep1O5HnHEhTNQ1i2b2lIwT9emCcKmCUQagO/4gXpVlUNlvvId7XCw=="}'
)
GOLDEN_STATEMENT = (
    "E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe2167gaFaSSFh4jLgHJCoadXhmFSw63z6v/KDja+VxDIfQ4WQPaVJF6DgQ6PPQoW9RRa3y0y"
    "zCRPneVfGVEer/4D"
)
GOLDEN_SUCCESSOR = (
    rb'{"name":"node \u003c1\u003e","public_key":"MdSras7slhE3kXA3k25gcW+sVzr+lNnahKgCBEjfwRI=",'
    rb'"advertise_address":"192.0.2.1","allowed_ip":"10.0.0.16/28","wg_port":51820,"instance":"run","nonce":"n",'
    rb'"agent":"ikto 0.4.0","successions":["' + GOLDEN_STATEMENT.encode() + rb'"],"serial":8,'
    rb'"proof":"ZAGsCEJjXu83opbMmmnQwZkHwO4rcZJ1OOgBDWBNRojKLJFx9jl+czzoNJaoS//Yg4NXToRnVJqmhaJN0gT5Cw=="}'
)


def test_the_golden_values_are_written_and_verified() -> None:
    assert signed_value(GOLDEN_RECORD, FIRST_KEY, BUCKET, NONCE) == GOLDEN
    proof = judge(BUCKET, GOLDEN_RECORD.key, GOLDEN).proof
    assert proof == Proof(public_key=FIRST_KEY.public(), serial=7)
    assert succession(FIRST_KEY, NEXT_KEY.public(), BUCKET, GOLDEN_RECORD.key, NONCE) == GOLDEN_STATEMENT
    successor = replace(GOLDEN_RECORD, public_key=NEXT_KEY.public(), serial=8, successions=(GOLDEN_STATEMENT,))
    assert signed_value(successor, NEXT_KEY, BUCKET, NONCE) == GOLDEN_SUCCESSOR
    later = judge(BUCKET, GOLDEN_RECORD.key, GOLDEN_SUCCESSOR).proof
    assert later
    assert succeeds(later, proof, BUCKET, GOLDEN_RECORD.key)


@given(peer_records(), st.integers(1, 2**63 - 1))
def test_a_signed_record_is_proved_and_decodes_to_itself(drawn: PeerRecord, serial: int) -> None:
    found = replace(drawn, public_key=KEY, serial=serial)
    value = signed(found, serial)
    proof = Proof(public_key=KEY, serial=serial, next_public_key=found.next_public_key)
    assert judge(BUCKET, found.key, value).proof == proof
    assert decode_record(found.key, value) == found


def test_a_value_without_a_proof_has_the_key_that_it_names() -> None:
    assert judge(BUCKET, RECORD.key, encode_record(RECORD)) == ProofResult(public_key=KEY, record=RECORD)
    for unreadable in (b"", b"{", b'{"public_key":1}', b'{"public_key":"' + b64encode(bytes(32)) + b'"}'):
        assert judge(BUCKET, RECORD.key, unreadable) == ProofResult()


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(VALUE[:-1] + b',"later":1}', id="a member after it"),
        pytest.param(VALUE[:-1] + b" }", id="a space after it"),
        pytest.param(VALUE + b"\n", id="a line's end after it"),
        pytest.param(VALUE[:-1] + PROOF_MEMBER + b"}", id="twice"),
        pytest.param(VALUE.replace(b'"proof":"', b'"proof": "'), id="a space in it"),
        pytest.param(VALUE.replace(b"=", b"A"), id="no padding"),
        pytest.param(VALUE.replace(b'"proof":"', b'"proof":"!'), id="not base64"),
        pytest.param(VALUE.replace(b'"proof"', b'"pro\\u006ff"'), id="escaped"),
        pytest.param(b"{" + PROOF_MEMBER[1:] + b"," + encode_record(RECORD)[1:], id="at the beginning"),
    ],
)
def test_a_proof_that_is_not_exactly_at_the_end_or_not_once_counts_as_none(value: bytes) -> None:
    assert not has_proof(value)
    assert judge(BUCKET, RECORD.key, value).proof is None
    assert not judge(BUCKET, RECORD.key, value).fault


@pytest.mark.parametrize(
    ("bucket", "value"),
    [
        pytest.param("other", VALUE, id="of another bucket"),
        pytest.param(BUCKET, VALUE.replace(b'"peer"', b'"poor"'), id="another name"),
        pytest.param(BUCKET, VALUE.replace(KEY.text.encode(), OTHER_KEY.text.encode()), id="another public key"),
        pytest.param(BUCKET, VALUE.replace(b'"serial":7', b'"serial":8'), id="another serial"),
        pytest.param(BUCKET, VALUE.replace(b'"serial":7', b'"serial":0'), id="no serial"),
        pytest.param(BUCKET, signed(RECORD, 7)[:-100] + signed(RECORD, 8)[-100:], id="the proof of another write"),
    ],
)
def test_a_proof_of_something_else_is_wrong(bucket: str, value: bytes) -> None:
    result = judge(bucket, RECORD.key, value)
    assert result.proof is None
    assert result.fault.startswith("its proof is wrong: ")


def test_a_proof_for_another_kv_key_is_wrong() -> None:
    other = record("10.0.0.32/28")
    forged = encode_record(replace(other, serial=7))[:-1] + PROOF_MEMBER + b"}"
    assert judge(BUCKET, other.key, forged).fault
    assert judge(BUCKET, other.key, VALUE) == ProofResult()  # not even valid there


@pytest.mark.parametrize("name", ['"proof":"', ',"proof":"x"}', '\\"proof":', '"proof'])
def test_a_name_that_looks_like_a_proof_is_none(name: str) -> None:
    named = replace(RECORD, name=name)
    assert judge(BUCKET, named.key, signed(named)).proof
    assert not has_proof(encode_record(named))


@pytest.mark.parametrize(
    "members",
    [
        *(b'"serial":1e400', b'"serial":true', b'"serial":-1', b'"serial":%d' % 2**63, b'"left":1', b'"left":null'),
        *(b'"successions":[1]', b'"successions":{}', b'"successions":["a","b","c","d","e"]', b'"proof":[1]'),
    ],
)
def test_members_that_make_no_sense_are_ignored_as_in_0_3_0(members: bytes) -> None:
    assert decode_record(RECORD.key, encode_record(RECORD)[:-1] + b"," + members + b"}") == RECORD


# -- successions -------------------------------------------------------------------------------------------------------


def statement(earlier: int, later: int, kv_key: str = RECORD.key) -> str:
    return succession(PRIVATE_KEYS[earlier], KEYS[later], BUCKET, kv_key, NONCE)


def proof(key: int, *successions: str) -> Proof:
    return Proof(public_key=KEYS[key], serial=9, successions=successions)


@pytest.mark.parametrize(
    ("earlier", "later", "holds"),
    [
        pytest.param(proof(0), proof(0), True, id="the same key"),
        pytest.param(replace(proof(0), next_public_key=KEYS[1]), proof(1), True, id="announced"),
        pytest.param(replace(proof(0), next_public_key=KEYS[2]), proof(1), False, id="another announced"),
        pytest.param(proof(0), proof(1, statement(0, 1)), True, id="one rotation"),
        pytest.param(proof(0), proof(2, statement(0, 1), statement(1, 2)), True, id="two rotations"),
        pytest.param(proof(1), proof(2, statement(0, 1), statement(1, 2)), True, id="the second of two"),
        pytest.param(proof(3), proof(2, statement(0, 1), statement(1, 2)), False, id="not in the chain"),
        pytest.param(proof(0), proof(1), False, id="no statement"),
        pytest.param(proof(0), proof(2, statement(0, 1)), False, id="a statement about another key"),
        pytest.param(proof(0), proof(2, statement(1, 2), statement(0, 1)), False, id="the wrong order"),
        pytest.param(proof(0), proof(1, statement(0, 1, "peers.x")), False, id="a statement about another KV key"),
        pytest.param(proof(0), proof(1, "", "A", "!", statement(0, 1)[:-4]), False, id="no statements at all"),
    ],
)
def test_a_key_is_succeeded_by_the_one_that_it_named(earlier: Proof, later: Proof, *, holds: bool) -> None:
    assert succeeds(later, earlier, BUCKET, RECORD.key) is holds


# -- the index ---------------------------------------------------------------------------------------------------------


def test_no_value_is_verified_twice() -> None:
    index = ProofIndex(BUCKET)
    values = [(RECORD.key, VALUE), ("mesh", b"{}"), ("peers.x", None)]
    assert index.unknown(values) == [(RECORD.key, VALUE)]
    index.learn(index.judge_all(index.unknown(values)))
    assert index.unknown(values) == []
    assert (index.result(RECORD.key, VALUE), index.stats.verified) == (PROVED, 1)
    assert index.result(RECORD.key, encode_record(RECORD)) == ProofResult(public_key=KEY, record=RECORD)
    assert (index.result(RECORD.key, signed(RECORD, 8)).proof, index.stats.verified) == (replace(PROOF, serial=8), 2)
    index.forget(RECORD.key)
    assert index.unknown(values)


def test_what_is_no_peer_s_record_is_not_verified() -> None:
    """Nothing would forget the result again."""
    value = signed(record("10.0.0.32/28", KEY))
    assert not ProofIndex("ikto-mesh").unknown([("settings", value)])


def test_what_an_earlier_run_has_verified_is_trusted() -> None:
    index = ProofIndex("another bucket, so that the signature would be wrong")
    assert index.trust(RECORD.key, VALUE) == index.result(RECORD.key, VALUE) == PROVED
    assert index.stats.verified == 0


def test_the_owner_of_an_invalid_value_is_read() -> None:
    assert owner_of(b'{"public_key":"k","wg_port":0}') == ("k", "")
    assert owner_of(b'{"public_key":"k"' + b"[" * 600) is None


@pytest.mark.parametrize("instance", [b"null", b"5", b"[]", b'{"a":1}'])
def test_the_owner_is_readable_whatever_the_type_of_the_instance(instance: bytes) -> None:
    assert owner_of(b'{"public_key":"k","wg_port":0,"instance":%s}' % instance) == ("k", "")
