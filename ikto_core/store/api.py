"""The JetStream API messages that Ikto reads. Anyone may have sent a message, so every one is checked.

All functions here raise UnreadableError for a message that does not have the expected format.
"""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ikto_core.errors import NatsError
from ikto_core.store.interfaces import Message

DELETION_HEADERS = ("KV-Operation", "Nats-Marker-Reason")
"""A message with one of these headers marks its key as deleted, purged or expired."""


class UnreadableError(NatsError):
    """An answer is malformed: it came from another client, or from a server of another kind."""


class ApiError(msgspec.Struct):
    """The reason why the server refused a request."""

    err_code: int = 0
    description: str = ""


class Republish(msgspec.Struct, frozen=True):
    """The subjects to which a stream republishes its messages."""

    src: str = ""
    dest: str = ""
    headers_only: bool = False


class StreamConfig(msgspec.Struct, frozen=True):
    """The configuration of a stream. A setting that the server omits has the value that it has there."""

    num_replicas: int = 1
    subjects: tuple[str, ...] | None = None
    max_msgs_per_subject: int = -1
    max_msgs: int = -1
    max_bytes: int = -1
    max_msg_size: int = -1  # headers included
    max_age: int = 0  # ns; 0: unlimited
    storage: str = ""
    persist_mode: str = ""
    retention: str = "limits"
    discard: str = "old"
    no_ack: bool = False
    sealed: bool = False
    deny_delete: bool = False
    deny_purge: bool = False
    allow_rollup_hdrs: bool = False
    allow_direct: bool = False
    allow_msg_schedules: bool = False
    subject_delete_marker_ttl: int = 0  # ns
    republish: Republish | None = None
    subject_transform: dict[str, Any] | None = None
    mirror: dict[str, Any] | None = None
    sources: tuple[dict[str, Any], ...] | None = None


class StreamState(msgspec.Struct):
    """The extent of a stream."""

    last_seq: int
    first_seq: int = 0
    first_ts: str = ""
    num_subjects: int = 0


class StreamInfo(msgspec.Struct):
    """The fields of a STREAM.INFO answer that Ikto reads."""

    created: str
    config: StreamConfig
    state: StreamState


class StoredMessage(msgspec.Struct):
    """A message in an answer to STREAM.MSG.GET."""

    subject: str
    seq: int
    time: str = ""
    data: str = ""  # base64
    hdrs: str = ""  # base64 of the header block


class Reply(msgspec.Struct):
    """An answer of the JetStream API; which fields are set depends on the request."""

    error: ApiError | None = None
    message: StoredMessage | None = None
    seq: int = 0


_decode_reply = msgspec.json.Decoder(Reply).decode
_decode_info = msgspec.json.Decoder(StreamInfo).decode


def read_reply(data: bytes) -> Reply:
    """Decode the fields that all answers have in common."""
    with _as_unreadable():
        return _decode_reply(data)


def read_stream_info(data: bytes) -> StreamInfo:
    """Decode the answer to STREAM.INFO."""
    with _as_unreadable():
        return _decode_info(data)


def read_json_object(data: bytes) -> dict[str, Any]:
    """Decode all fields of an answer, including those that no struct here declares."""
    with _as_unreadable():
        return msgspec.json.decode(data, type=dict[str, Any])


def read_message(headers: Mapping[str, str] | None, data: bytes, subject_prefix: str) -> Message:
    """Decode a republished message or one of a Direct Get answer; `subject_prefix` is removed to get its key."""
    with _as_unreadable():
        headers = headers or {}
        return Message(
            key=headers["Nats-Subject"].removeprefix(subject_prefix),
            revision=int(headers["Nats-Sequence"]),
            value=None if any(header in headers for header in DELETION_HEADERS) else data,
            time=headers.get("Nats-Time-Stamp", ""),
        )


def read_stored_message(stored: StoredMessage, subject_prefix: str) -> Message:
    """Decode a message of a STREAM.MSG.GET answer; `subject_prefix` is removed to get its key."""
    with _as_unreadable():
        header_block = b64decode(stored.hdrs)
        deleted = any(f"\r\n{header}:".encode() in header_block for header in DELETION_HEADERS)
        key = stored.subject.removeprefix(subject_prefix)
        return Message(key, stored.seq, None if deleted else b64decode(stored.data), stored.time)


@contextmanager
def _as_unreadable() -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, LookupError, ValueError, RecursionError) as error:
        raise UnreadableError(f"an answer on NATS can't be read: {type(error).__name__}: {error}") from None
