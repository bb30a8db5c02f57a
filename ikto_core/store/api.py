"""The messages of the JetStream API, as far as Ikto reads them. Anybody may have sent them: nothing is taken on trust.

Every reader here raises UnreadableError for what is not of its form.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ikto_core.errors import NatsError
from ikto_core.store.interfaces import Message

DELETIONS = ("KV-Operation", "Nats-Marker-Reason")
"""A message with one of these headers says that its key is gone: deleted, purged or expired."""


class UnreadableError(NatsError):
    """What came as an answer is none: somebody else sent it, or a server of another kind."""


class ApiError(msgspec.Struct):
    """Why the server did not do it."""

    err_code: int = 0
    description: str = ""


class Republish(msgspec.Struct):
    """Where a stream sends its messages again."""

    src: str = ""
    dest: str = ""
    headers_only: bool = False


class StreamConfig(msgspec.Struct):
    """How a stream was made."""

    num_replicas: int = 1
    max_msgs_per_subject: int = 1
    storage: str = ""
    allow_direct: bool = False
    republish: Republish | None = None


class StreamState(msgspec.Struct):
    """How far a stream goes."""

    last_seq: int
    first_seq: int = 0
    first_ts: str = ""
    num_subjects: int = 0


class StreamInfo(msgspec.Struct):
    """The members of a STREAM.INFO answer that Ikto reads."""

    created: str
    config: StreamConfig
    state: StreamState


class StoredMessage(msgspec.Struct):
    """A message as STREAM.MSG.GET answers it."""

    subject: str
    seq: int
    time: str = ""
    data: str = ""  # base64
    hdrs: str = ""  # base64 of the header block


class Reply(msgspec.Struct):
    """Any answer of the JetStream API; which members are set depends on the question."""

    error: ApiError | None = None
    message: StoredMessage | None = None
    seq: int = 0


_decode_reply = msgspec.json.Decoder(Reply).decode
_decode_info = msgspec.json.Decoder(StreamInfo).decode


def read_reply(data: bytes) -> Reply:
    """Read what all answers have in common."""
    with _legible():
        return _decode_reply(data)


def read_stream_info(data: bytes) -> StreamInfo:
    """Read the answer to STREAM.INFO."""
    with _legible():
        return _decode_info(data)


def read_members(data: bytes) -> dict[str, Any]:
    """Read every member of an answer, for what no struct here names."""
    with _legible():
        return msgspec.json.decode(data, type=dict[str, Any])


def read_message(headers: Mapping[str, str] | None, data: bytes, subjects: str) -> Message:
    """Read a message that the server republished, or answered Direct Get with; `subjects` is what precedes its key."""
    with _legible():
        headers = headers or {}
        return Message(
            key=headers["Nats-Subject"].removeprefix(subjects),
            revision=int(headers["Nats-Sequence"]),
            value=None if any(header in headers for header in DELETIONS) else data,
            time=headers.get("Nats-Time-Stamp", ""),
        )


def unpack(stored: StoredMessage, subjects: str) -> Message:
    """Read a message that the leader answered STREAM.MSG.GET with; `subjects` as above."""
    with _legible():
        header_block = b64decode(stored.hdrs)
        deleted = any(f"\r\n{header}:".encode() in header_block for header in DELETIONS)
        key = stored.subject.removeprefix(subjects)
        return Message(key, stored.seq, None if deleted else b64decode(stored.data), stored.time)


@contextmanager
def _legible() -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, LookupError, ValueError, RecursionError) as error:
        raise UnreadableError(f"an answer on NATS can't be read: {type(error).__name__}: {error}") from None
