"""What a node is asked, and what it answers: typed, bounded in bytes, and signed by the key of its record. Pure.

The question is `Request` as JSON, and goes to all agents at once. The answer is `{"answer":…,"signature":"…"}`: the
signature by the node's WireGuard key covers the bucket, the KV key of the node's record, and the bytes of the answer.
So nobody else, not even the NATS server, can answer for a node whose record is known. The nonce of the question makes
an earlier answer useless.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from ikto_core.fleet.heard import Heard
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.signatures import framed, sign, verify

T = TypeVar("T")

ANSWER_DOMAIN = b"ikto answer v1"

MAX_REQUEST_BYTES = 512
MAX_ANSWER_BYTES = 20 * 1024
"""Larger ones are dropped unread. An answer is about 500 bytes, and 8 more for each peer."""

SHORT_KEY = 8
"""Peers are named by the first characters of their public keys: 48 bits, as tables show them."""

MAX_PEERS_TOLD = 2000
"""A node says nothing of further peers; those without trouble are left out first."""

ANSWERS_PER_S = 500.0
"""The agents of a mesh spread their answers so that an asker gets about as many."""

MAX_JITTER_S = 10.0

_Nonce = Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
_Key = Annotated[str, Meta(pattern="^[A-Za-z0-9+/]{43}=$")]
_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_Peers = Annotated[str, Meta(pattern="^([A-Za-z0-9+/]{8})*$", max_length=SHORT_KEY * MAX_PEERS_TOLD)]
_Seconds = Annotated[float, Meta(ge=0, le=1e11)]


class UnreadableAnswerError(ValueError):
    """A message is not an answer, or not one of the node that it names; the message is the reason."""


class Request(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A question to all nodes, or to one."""

    nonce: _Nonce  # new for each question; the answers repeat it
    to: _Key | None = None  # the public key of the node that is asked; None: all of them
    about: _Key | None = None  # the public key of a peer of which the node is to tell more; None: of none


class HeardPeers(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The first SHORT_KEY characters of the peers' public keys, by what the node says of them (`Heard`)."""

    absent: _Peers = ""
    stalled: _Peers = ""
    half_open: _Peers = ""
    unanswered: _Peers = ""
    never: _Peers = ""
    idle: _Peers = ""
    active: _Peers = ""

    def states(self) -> Iterator[tuple[str, Heard]]:
        """Yield each short key with what is said of it; a liar may name one twice."""
        for heard in Heard:
            text = getattr(self, heard.value)
            for start in range(0, len(text), SHORT_KEY):
                yield text[start : start + SHORT_KEY], heard


class PeerHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What a node tells of one peer. No endpoint: where a peer has roamed to is not in the bucket."""

    heard: Heard
    handshake_age_s: _Seconds | None  # None: never
    rx_bytes: _Count
    tx_bytes: _Count
    has_endpoint: bool  # whether the node knows where to send


class NodeAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a node says of itself. All of it may be a lie, except the public key."""

    nonce: _Nonce  # of the request
    public_key: _Key
    version: Annotated[str, Meta(max_length=64)]  # Ikto's
    state: Annotated[str, Meta(pattern="^[a-z]{1,20}$")]  # as `ikto status` shows it
    revision: _Count | None = None  # the bucket's revision that the device shows; None: none yet
    bucket_revision: _Count = 0  # the latest that the node knows of; 0: none
    accepted: _Count = 0  # peers
    quarantined: _Count = 0  # records
    pending_removals: _Count = 0
    time_s: _Seconds = 0.0  # of the node's clock when it answered, in seconds since the epoch
    heard: HeardPeers | None = None  # None: the device can't be read
    left_out: _Count = 0  # peers of which `heard` says nothing
    about: PeerHealth | None = None  # None: not asked for, or not a peer of this node


class _Signed(msgspec.Struct, frozen=True):
    answer: msgspec.Raw
    signature: Annotated[str, Meta(min_length=88, max_length=88)]


_WORST_FIRST = {heard: position for position, heard in enumerate(Heard)}
_decode_request = msgspec.json.Decoder(Request).decode
_decode_signed = msgspec.json.Decoder(_Signed).decode
_decode_answer = msgspec.json.Decoder(NodeAnswer).decode


def jitter_s(nodes: int, drawn: float) -> float:
    """Return how long to wait before answering a question to all of so many nodes; `drawn`: random, 0 to 1."""
    return min(nodes / ANSWERS_PER_S, MAX_JITTER_S) * drawn


def heard_peers(states: Mapping[PublicKey, Heard]) -> tuple[HeardPeers, int]:
    """Return what to tell of the peers, and how many are left out: the healthiest ones, if there are too many."""
    told = sorted(states, key=lambda key: (_WORST_FIRST[states[key]], key))[:MAX_PEERS_TOLD]
    texts: dict[str, list[str]] = {}
    for key in told:
        texts.setdefault(states[key].value, []).append(key.text[:SHORT_KEY])
    return HeardPeers(**{name: "".join(keys) for name, keys in texts.items()}), len(states) - len(told)


def read_request(data: bytes) -> Request:
    """Decode a question. Raises UnreadableAnswerError."""
    return _decoded(_decode_request, data, MAX_REQUEST_BYTES)


def signed_answer(answer: NodeAnswer, key: PrivateKey, bucket: str, kv_key: str, nonce: bytes) -> bytes:
    """Return the message with a node's answer, signed for its record under `kv_key`; `nonce` as in `sign`."""
    raw = msgspec.json.encode(answer)
    signature = b64encode(sign(key, _message(bucket, kv_key, raw), nonce)).decode()
    return msgspec.json.encode(_Signed(msgspec.Raw(raw), signature))


def read_answer(data: bytes, bucket: str, kv_key: str, key: PublicKey) -> NodeAnswer:
    """Return the answer of the node whose record under `kv_key` has this public key.

    Raises UnreadableAnswerError: it is malformed, too large, or that key has not signed it for that record.
    """
    signed = _decoded(_decode_signed, data, MAX_ANSWER_BYTES)
    try:
        signature = b64decode(signed.signature, validate=True)
    except (binascii.Error, ValueError):
        raise UnreadableAnswerError("its signature is not base64") from None
    raw = bytes(signed.answer)
    if not verify(key, _message(bucket, kv_key, raw), signature):
        raise UnreadableAnswerError("the key of the node's record has not signed it")
    answer = _decoded(_decode_answer, raw, MAX_ANSWER_BYTES)
    if answer.public_key != key.text:
        raise UnreadableAnswerError("it names another public key")
    return answer


def _message(bucket: str, kv_key: str, raw: bytes) -> bytes:
    return framed(ANSWER_DOMAIN, bucket.encode(), kv_key.encode(), raw)


def _decoded(decode: Callable[[bytes], T], data: bytes, limit: int) -> T:
    if len(data) > limit:
        raise UnreadableAnswerError(f"it has {len(data)} bytes, more than {limit}")
    try:
        return decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableAnswerError(str(error)[:200]) from None
