"""What arrives from a NATS server: its protocol, headers, answers of the JetStream API, and the writes of a bucket."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from nats.errors import Error as NatsPyError

from ikto_core.errors import NatsError
from ikto_core.mesh.pins import Pins
from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.store.api import (
    KEPT_VALUE_BYTES,
    MAX_REVISION,
    UnreadableError,
    read_json_object,
    read_message,
    read_reply,
    read_stored_message,
    read_stream_info,
)
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_settings import findings, record_settings
from ikto_core.store.client import Client, Listener
from ikto_core.store.follower import Follower
from ikto_core.store.pushes import listen
from ikto_core.store.received import Received
from ikto_core.store.session import Session
from ikto_core.store.subjects import Subjects
from ikto_core.store.wire import MAX_LINE_BYTES, Parser
from tests.fuzz.target import Check, RefusedError, Target, without_preparation
from tests.fuzz.targets.mesh import RULES

BUCKET = "b"
HEADER_WORDS = (
    *(b"NATS/1.0", b"NATS/1.0 404\r\n", b"NATS/1.0 204 EOB\r\n", b"Nats-Sequence: 7\r\n"),
    *(b"Nats-Subject: $KV.b.peers.x\r\n", b"Nats-Sequence: 9223372036854775807\r\n"),
    *(b"Nats-Stream: KV_b\r\n", b"Nats-Time-Stamp: t\r\n", b"KV-Operation: DEL\r\n", b"Nats-Marker-Reason: MaxAge\r\n"),
    *(b"Status: 404\r\n", b"Nats-Num-Pending: 0\r\n", b"\r\n\r\n", b"Nats-Rollup: all\r\n"),
)  # fmt: skip
WIRE_WORDS = (
    *HEADER_WORDS,
    b"MSG a 1 2\r\n",
    b"HMSG a 1 12 14\r\n",
    b"PING\r\n",
    b"PONG\r\n",
    b"+OK\r\n",
    b"-ERR '",
    b"INFO {}\r\n",
)
API_WORDS = (
    *(b'"error":', b'"err_code":', b'"message":', b'"seq":', b'"hdrs":', b'"data":', b'"config":', b'"state":'),
    *(b'"last_seq":', b'"republish":{"src":">","dest":"ikto.b.>"}', b'"created":', b'"subjects":', b'"max_age":'),
)
ANSWER, MESSAGE = b"\n====\n", b"\n--\n"
"""What separates answers to requests, and the messages of one answer, in the inputs of `following`."""


class _Passed:
    """Takes what a parser passes on, as nats-py's client does."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    async def _process_msg(self, *message: object) -> None:
        self.seen.append(message)

    async def _process_ping(self) -> None:
        self.seen.append("PING")

    async def _process_pong(self) -> None:
        self.seen.append("PONG")

    async def _process_info(self, info: dict[str, Any]) -> None:
        self.seen.append(f"INFO {info}")

    async def _process_err(self, text: str) -> None:
        self.seen.append(f"-ERR {text}")


def _parsed(pieces: list[bytes]) -> tuple[list[object], str]:
    """Return what a parser passes on of these pieces, and the error that ended it."""
    passed = _Passed()
    parser = Parser(passed)
    for piece in pieces:
        try:
            _finish(parser.parse(piece))
        except NatsPyError as error:
            return passed.seen, str(error)
        assert len(parser._unread) <= MAX_LINE_BYTES
    return passed.seen, ""


def _finish(parsing: Any) -> None:
    """Run a coroutine that waits for nothing."""
    try:
        parsing.send(None)
    except StopIteration:
        return
    raise AssertionError("the parser waits")


def check_wire(data: bytes) -> None:
    """Parse the bytes of a connection at once and in two pieces: the result is the same."""
    whole, error = _parsed([data])
    half = len(data) // 2
    pieces, other_error = _parsed([data[:half], data[half:]])
    assert (whole, error) == (pieces, other_error)
    if error or not whole:
        raise RefusedError(error)


def check_header(data: bytes) -> None:
    """Read a header block as that of a message and as that of a status."""
    received = Received("ikto.b.peers.x", b"value", data)
    assert received.status == "" or (received.status.isdigit() and len(received.status) == 3)
    msgspec.json.encode((received.status_text, received.header("Nats-Num-Pending")))  # can be shown
    message = read_message(received, "$KV.b.")
    assert 0 < message.revision <= MAX_REVISION
    assert received.status == ""
    msgspec.json.encode(message)


def check_api(data: bytes) -> None:
    """Read an answer of the JetStream API as each of those that Ikto asks for."""
    bucket_settings, refused = record_settings(Subjects(BUCKET)), 0
    try:
        [str(finding) for finding in findings(read_stream_info(data), bucket_settings)]
    except UnreadableError:
        refused += 1
    with suppress(UnreadableError):
        read_json_object(data)
    reply = read_reply(data)
    if reply.message:
        message = read_stored_message(reply.message, "$KV.b.")
        assert len(message.value or b"") <= KEPT_VALUE_BYTES
        msgspec.json.encode(message)
    elif refused:
        raise RefusedError


class _Replay(Client):
    """A connection on which each request is answered by the next part of an input."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.answers = iter(data.split(ANSWER))
        self.session: Session | None = None

    async def listen(self, subject: str, listener: Listener) -> None:
        self._listeners[subject] = listener

    async def flush(self, timeout: int = 0) -> None:
        """Do nothing: a subscription is active at once."""

    async def close(self) -> None:
        if self.session:
            self.session.end("closed")

    async def publish(self, subject: str, payload: bytes = b"", reply: str = "", headers: Any = None) -> None:  # noqa: ARG002
        """Answer a request. Without another answer, the connection ends."""
        answer = next(self.answers, None)
        for message in () if answer is None else answer.split(MESSAGE):
            await self._receive(message, reply)
        assert self.session
        if answer is None:
            self.session.end("no more answers")
        elif reply in self.session._waiting:
            self.session._waiting[reply].end(NatsError("no more messages"))

    async def _receive(self, message: bytes, reply: str) -> None:
        """Pass on a message: an error, a push if it begins with `>` and a subject, otherwise an answer."""
        if message.startswith(b"-ERR ") and self.session:
            await self.session.on_error(NatsPyError(message[5:].decode(errors="backslashreplace")))
            return
        subject, (listener, *_) = reply, self._listeners.values()
        if message.startswith(b">"):
            line, _, message = message[1:].partition(b"\n")
            subject, listener = line.decode(errors="backslashreplace"), [*self._listeners.values()][-1]
        block, end, payload = message.partition(b"\r\n\r\n")
        has_headers = message.startswith(b"NATS/1.0") and end
        listener(Received(subject, payload if has_headers else message, block + end if has_headers else b""))


class _StrictSession(Session):
    """Raises what a session would only log. Its server can answer with whole pages."""

    @property
    def supports_batch_get(self) -> bool:
        return True

    def _log_dropped(self, subject: str, error: Exception) -> None:  # noqa: ARG002
        if not isinstance(error, UnreadableError):
            raise error


async def _follow(data: bytes) -> None:
    """Follow a bucket for three rounds, and use it."""
    client = _Replay(data)
    client.session = session = _StrictSession(client, "_INBOX_a")
    await session.listen_to_answers()
    bucket = Bucket(session, BUCKET)
    view, proofs = MeshView(RULES), ProofIndex(BUCKET)
    pins = Pins(proofs, lambda: view.rules)

    def on_change(changes: Mapping[str, Entry]) -> None:
        view.update(pins.update(changes, 0.0))

    follower = Follower(on_change, Random(1))
    await listen(session, bucket, follower)
    await follower.resync(bucket)
    _check_table(follower)
    with suppress(NatsError):  # the first round was valid
        for _ in range(2):
            await follower.resync(bucket)
            _check_table(follower)
        await bucket.get("peers.x")
        await bucket.put("peers.x", b"value", expected=0)


def _check_table(follower: Follower) -> None:
    assert all(entry.revision <= follower.revision for entry in follower.table.values())
    msgspec.json.encode(follower.table)


@contextmanager
def _following(_directory: Path) -> Iterator[Check]:
    with asyncio.Runner() as runner:
        yield lambda data: runner.run(_follow(data))


TARGETS = (
    Target("wire", 7, (), without_preparation(check_wire), WIRE_WORDS, ("store/corpus/server",)),
    Target("header", 8, (UnreadableError,), without_preparation(check_header), HEADER_WORDS, ("store/corpus/headers",)),
    Target("api", 7, (UnreadableError,), without_preparation(check_api), API_WORDS),
    Target(
        "following",
        6,
        (NatsError,),
        _following,
        (*HEADER_WORDS, *API_WORDS, ANSWER, MESSAGE, b"\n--\n>ikto.b.peers.x\n"),
    ),
)
