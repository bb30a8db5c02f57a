"""What nodes are asked and answer: a question to this node, and answers that the key of a node has signed."""

import json
from base64 import b64encode
from contextlib import suppress
from functools import cache

from ikto_core.cli.formatting import json_text
from ikto_core.cli.mesh_page import page
from ikto_core.cli.mesh_text import sections
from ikto_core.fleet.answer import ANSWER_DOMAIN, UnreadableAnswerError, read_answer, read_request
from ikto_core.fleet.asking import Answered, Answers
from ikto_core.fleet.overview import KnownNode, overview
from ikto_core.fleet.responder import about_key
from ikto_core.mesh.records import record_key
from ikto_core.values.signatures import framed, sign
from tests.fuzz.target import Target, without_preparation
from tests.samples import KEYS, PRIVATE_KEYS

BUCKET, KV_KEY = "b", record_key("fd10:1::/48")
QUESTION_WORDS = (b'"nonce":"0123456789abcdef0123456789abcdef"', b'"to":', b'"about":', KEYS[1].text.encode())
ANSWER_WORDS = (
    *(b'"nonce":', b'"public_key":', b'"version":', b'"state":"ready"', b'"revision":', b'"bucket_revision":'),
    *(b'"accepted":', b'"quarantined":', b'"pending_removals":', b'"time_s":1e10', b'"heard":{', b'"absent":"'),
    *(b'"stalled":"', b'"half_open":"', b'"unanswered":"', b'"never":"', b'"idle":"', b'"active":"', b'"left_out":'),
    *(b'"about":{"heard":"idle",', b'"handshake_age_s":', b'"rx_bytes":', b'"has_endpoint":true', b"AAAAAAAA"),
)


def check_question(data: bytes) -> None:
    """Read a question."""
    about_key(read_request(data))


@cache
def _nodes() -> list[KnownNode]:
    return [
        KnownNode(public_key=key, name=f"node-{number}", allowed_ips=(), kv_keys=frozenset())
        for number, key in enumerate(KEYS)
    ]


def check_answer(data: bytes) -> None:
    """Read an answer that its node has signed, and show the mesh with it in every way."""
    with suppress(UnreadableAnswerError):
        read_answer(data, BUCKET, KV_KEY, KEYS[0])
    answer = read_answer(b'{"answer":%s,"signature":"%s"}' % (data, _signature(data)), BUCKET, KV_KEY, KEYS[0])
    assert answer.public_key == KEYS[0].text
    answers = Answers(asked=frozenset(KEYS), by_node={KEYS[0]: Answered(answer, 1e9)})
    shown = overview(_nodes(), answers, bucket=BUCKET, revision=7, asked_at=1e9)
    found, matrix = shown
    assert sum(found.links.values()) == len(KEYS) * (len(KEYS) - 1) / 2
    assert all(cell.other_word is None for _, _, cell in matrix.cells()), "a node speaks for itself only"
    for section in sections(*shown):
        for row in section.rows:
            assert all(cell.isprintable() for cell in row.cells)
    json.loads(json_text(found))
    assert page(*shown).count("<script") == 2


def _signature(raw: bytes) -> bytes:
    message = framed(ANSWER_DOMAIN, BUCKET.encode(), KV_KEY.encode(), raw)
    return b64encode(sign(PRIVATE_KEYS[0], message, bytes(64)))


TARGETS = (
    Target("question", 2, (UnreadableAnswerError,), without_preparation(check_question), QUESTION_WORDS),
    Target("answer", 3, (UnreadableAnswerError,), without_preparation(check_answer), ANSWER_WORDS),
)
