"""Answers are bounded, typed, and believed only if the key of the node's record has signed them."""

from base64 import b64encode
from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from ikto_core.fleet.answer import (
    ANSWER_DOMAIN,
    MAX_ANSWER_BYTES,
    MAX_JITTER_S,
    MAX_PEERS_TOLD,
    SHORT_KEY,
    NodeAnswer,
    PeerHealth,
    Request,
    UnreadableAnswerError,
    heard_peers,
    jitter_s,
    read_answer,
    read_request,
    signed_answer,
)
from ikto_core.fleet.heard import Heard
from ikto_core.mesh.records import record_key
from ikto_core.values.keys import PublicKey
from ikto_core.values.signatures import framed, sign
from tests.samples import KEYS, PRIVATE_KEYS

BUCKET, KV_KEY = "ikto-mesh", record_key("10.0.0.16/28")
NONCE = "0123456789abcdef" * 2
KEY, PRIVATE_KEY = KEYS[0], PRIVATE_KEYS[0]
ANSWER = NodeAnswer(nonce=NONCE, public_key=KEY.text, version="0.4", state="ready", revision=7, time_s=1.5)


def message(answer: NodeAnswer = ANSWER) -> bytes:
    return signed_answer(answer, PRIVATE_KEY, BUCKET, KV_KEY, bytes(64))


def test_an_answer_is_read_as_it_was_given() -> None:
    heard, left_out = heard_peers({KEYS[1]: Heard.STALLED, KEYS[2]: Heard.ACTIVE, KEYS[3]: Heard.ACTIVE})
    about = PeerHealth(heard=Heard.IDLE, handshake_age_s=200.5, rx_bytes=1, tx_bytes=2, has_endpoint=True)
    answer = replace(ANSWER, heard=heard, left_out=left_out, about=about)
    found = read_answer(message(answer), BUCKET, KV_KEY, KEY)
    assert found == answer
    assert found.heard
    assert dict(found.heard.states()) == {
        KEYS[1].text[:SHORT_KEY]: Heard.STALLED,
        KEYS[2].text[:SHORT_KEY]: Heard.ACTIVE,
        KEYS[3].text[:SHORT_KEY]: Heard.ACTIVE,
    }


@pytest.mark.parametrize(
    ("bucket", "kv_key", "key"),
    [("other", KV_KEY, KEY), (BUCKET, record_key("10.0.0.32/28"), KEY), (BUCKET, KV_KEY, KEYS[1])],
    ids=["bucket", "record", "key"],
)
def test_an_answer_counts_for_one_bucket_one_record_and_its_key(bucket: str, kv_key: str, key: PublicKey) -> None:
    with pytest.raises(UnreadableAnswerError, match="has not signed"):
        read_answer(message(), bucket, kv_key, key)


def test_a_node_does_not_answer_with_the_key_of_another() -> None:
    with pytest.raises(UnreadableAnswerError, match="another public key"):
        read_answer(message(replace(ANSWER, public_key=KEYS[1].text)), BUCKET, KV_KEY, KEY)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sent: sent.replace(b'"ready"', b'"READY"'),
        lambda sent: sent.replace(b'"revision":7', b'"revision":8'),
        lambda sent: sent.replace(b"0.4", b"0.5"),
        lambda sent: sent[:-1],
        lambda sent: sent + b"{",
        lambda _: b"",
        lambda _: b"\xff",
        lambda _: b"[" * 100_000,
        lambda _: b'{"answer":' + b"[" * 10_000,
        lambda sent: sent.replace(b'"signature":"', b'"signature":"!'),
        lambda sent: sent.ljust(MAX_ANSWER_BYTES + 1),
    ],
)
def test_an_altered_or_malformed_answer_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_answer(spoil(message()), BUCKET, KV_KEY, KEY)


@pytest.mark.parametrize(
    "member",
    [
        {"version": "v" * 65},
        {"state": "\x1b[2J"},
        {"state": "<script>"},
        {"revision": -1},
        {"revision": 2**63},
        {"accepted": 1.5},
        {"time_s": -1},
        {"heard": {"active": "short"}},
        {"heard": {"active": "<script>"}},
        {"heard": {"active": "A" * SHORT_KEY * (MAX_PEERS_TOLD + 1)}},
        {"heard": []},
        {"about": {"heard": "loudly"}},
        {"nonce": "0"},
        {"public_key": "<b>"},
    ],
)
def test_what_a_liar_signs_is_still_typed_and_bounded(member: dict[str, object]) -> None:
    raw = msgspec.json.encode(msgspec.to_builtins(ANSWER) | member)
    with pytest.raises(UnreadableAnswerError) as refused:
        read_answer(_signed_raw(raw), BUCKET, KV_KEY, KEY)
    assert "signed" not in str(refused.value), "it was refused for its content"


def _signed_raw(raw: bytes) -> bytes:
    """Return a message with any content, signed as an answer is."""
    signature = sign(PRIVATE_KEY, framed(ANSWER_DOMAIN, BUCKET.encode(), KV_KEY.encode(), raw), bytes(64))
    return b'{"answer":%s,"signature":"%s"}' % (raw, b64encode(signature))


def test_a_full_answer_fits_into_the_limit_and_leaves_out_the_healthy_peers_first() -> None:
    keys = [PublicKey(number.to_bytes(32, "big")) for number in range(1, MAX_PEERS_TOLD + 12)]
    states = dict.fromkeys(keys, Heard.ACTIVE) | {keys[-1]: Heard.STALLED}
    heard, left_out = heard_peers(states)
    assert left_out == 11
    assert heard.stalled == keys[-1].text[:SHORT_KEY]
    sent = message(replace(ANSWER, heard=heard, left_out=left_out, version="v" * 64))
    assert len(sent) <= MAX_ANSWER_BYTES
    assert read_answer(sent, BUCKET, KV_KEY, KEY).heard == heard


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"nonce":"0"}', b'{"nonce":"%s","to":"x"}' % NONCE.encode(), b"[" * 600, b"\xff" * 9]
)
def test_a_malformed_question_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableAnswerError):
        read_request(data)


def test_a_question_fits_into_the_limit_of_questions() -> None:
    request = Request(nonce=NONCE, to=KEY.text, about=KEYS[1].text)
    assert read_request(msgspec.json.encode(request)) == request


def test_the_jitter_grows_with_the_mesh_up_to_a_limit() -> None:
    assert jitter_s(1000, 1.0) == 2.0
    assert jitter_s(1000, 0.25) == 0.5
    assert jitter_s(3, 1.0) < 0.01
    assert jitter_s(10**6, 1.0) == MAX_JITTER_S
