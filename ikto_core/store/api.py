"""The JetStream API messages that Ikto reads. Anyone may have sent a message, so every one is checked.

All functions here raise UnreadableError for a message that does not have the expected format.
"""

from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ikto_core.errors import NatsError
from ikto_core.store.interfaces import Message
from ikto_core.store.received import REVISION_HEADER, Received

DELETION_HEADERS = ("KV-Operation", "Nats-Marker-Reason")
"""A message with one of these headers marks its key as deleted, purged or expired."""

MAX_REVISION = 2**63 - 1
Count = Annotated[int, Meta(ge=0, le=MAX_REVISION)]

KEPT_VALUE_BYTES = 2**15
"""The rest of a larger value is not kept: a record is refused as soon as it is larger than half of this."""

NOT_UTF8 = "\ufffd"
"""The character that the leader writes for bytes of a subject that are not UTF-8."""


class UnreadableError(NatsError):
    """An answer is malformed: it came from another client, or from a server of another kind."""


class ForeignSubjectError(UnreadableError):
    """A message of the stream is not on a subject of the bucket."""


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
    discard_new_per_subject: bool = False
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

    def stores_only(self, subjects: str) -> bool:
        """Return whether the stream stores only what its clients publish on these subjects."""
        return self.subjects == (subjects,) and not (self.mirror or self.sources or self.subject_transform)


NO_TIME = "0001-01-01T00:00:00Z"
"""How the server writes that there is no time, such as that of the last message of an empty stream."""


class StreamState(msgspec.Struct):
    """The extent of a stream."""

    last_seq: Count
    last_ts: str = ""
    first_seq: Count = 0
    first_ts: str = ""
    messages: Count = 0
    num_subjects: Count = 0
    consumer_count: Count = 0


class StreamInfo(msgspec.Struct):
    """The fields of a STREAM.INFO answer that Ikto reads."""

    created: str
    config: StreamConfig
    state: StreamState


class StoredMessage(msgspec.Struct):
    """A message in an answer to STREAM.MSG.GET."""

    subject: str
    seq: Annotated[int, Meta(ge=1, le=MAX_REVISION)]
    time: str = ""
    data: str = ""  # base64
    hdrs: str = ""  # base64 of the header block


class Reply(msgspec.Struct):
    """An answer of the JetStream API; which fields are set depends on the request."""

    error: ApiError | None = None
    message: StoredMessage | None = None
    seq: Count = 0


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


def read_message(received: Received, subject_prefix: str) -> Message:
    """Decode a republished message or one of a Direct Get answer; `subject_prefix` is removed to get its key.

    Whatever its publisher wrote, a stored message can be read. UnreadableError: it has no revision, so it is not one.
    ForeignSubjectError: its subject has not that prefix.
    """
    revision = received.header(REVISION_HEADER) or ""
    if not (revision.isascii() and revision.isdigit() and len(revision) < 20 and 0 < int(revision) <= MAX_REVISION):
        raise UnreadableError(f"a message on NATS has no revision, but {revision[:40]!r}")
    return _message(
        received.header("Nats-Subject"),
        int(revision),
        received,
        received.header("Nats-Time-Stamp") or "",
        subject_prefix,
    )


def read_stored_message(stored: StoredMessage, subject_prefix: str) -> Message:
    """Decode a message of a STREAM.MSG.GET answer; `subject_prefix` is removed to get its key."""
    with _as_unreadable():
        header_block, data = b64decode(stored.hdrs), b64decode(stored.data)
    subject = None if NOT_UTF8 in stored.subject else stored.subject.replace("\\", "\\\\")
    header_block = header_block[:-2] + b"Nats-Stream:\r\n\r\n"  # as the server completes it in the other answers
    return _message(subject, stored.seq, Received("", data, header_block), stored.time, subject_prefix)


def _message(subject: str | None, revision: int, received: Received, time: str, subject_prefix: str) -> Message:
    deleted = any(received.header(name) is not None for name in DELETION_HEADERS)
    value = None if deleted else received.data[:KEPT_VALUE_BYTES]
    if not subject:
        return Message(f"(revision {revision})", revision, value, time, "the subject of this message can't be read")
    if not subject.startswith(subject_prefix):
        raise ForeignSubjectError(f"a message of the stream is on {subject[:100]!r}, not on {subject_prefix}>")
    return Message(subject[len(subject_prefix) :], revision, value, time)


@contextmanager
def _as_unreadable() -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, LookupError, ValueError, RecursionError) as error:
        raise UnreadableError(f"an answer on NATS can't be read: {type(error).__name__}: {error}") from None
