"""A bucket on a real NATS server: reading it, and writing single keys."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from nats.aio.msg import Msg

from ikto_core.errors import BucketMissingError, NatsError, RevisionConflictError, WriteUnknownError
from ikto_core.mesh.view import Entry
from ikto_core.store.api import (
    Reply,
    StreamInfo,
    UnreadableError,
    read_members,
    read_message,
    read_reply,
    read_stream_info,
    unpack,
)
from ikto_core.store.interfaces import BucketInfo, Message, Page
from ikto_core.store.session import NoAnswerError, Session, SessionClosedError

PAGE_SIZE = 1000
"""Messages a page: 10,000 keys take 0.21 s, in pages of 256 0.33 to 0.65 s (measured with Direct Get)."""

PAGE_TIMEOUT_S = 60.0
"""How long a page may take: a few kB/s do. A walk has no limit, for nobody knows how many pages it takes."""

RENEWALS = "-leases"
STREAM_NOT_FOUND = 10059
MESSAGE_NOT_FOUND = 10037
WRONG_LAST_SEQUENCE = 10071
HINTS = {
    10074: "one server keeps one copy: --replicas 1, or a cluster",
    10076: "JetStream is not enabled for this account",
}
END_OF_BATCH, NOT_FOUND = "204", "404"


class Bucket:
    """One KV bucket, seen through one session. Implements BucketReader and RecordStore.

    Every method raises NatsError when an answer does not come, is a refusal, or can't be read.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self.name = name
        self.stream = f"KV_{name}"
        self.pushes = f"ikto.{name}.>"  # the subject that writes are republished to
        self.writes = f"$KV.{name}.>"  # the subject that they are published on
        self._subjects = f"$KV.{name}."
        self._direct = session.answers_in_batches
        self._pushed: bool | None = None  # as first seen; None: not asked yet

    def renewals(self) -> "Bucket":
        """Return the bucket where the leases of this one's records are renewed (leases.py)."""
        return Bucket(self._session, f"{self.name}{RENEWALS}")

    # -- reading ---------------------------------------------------------------------------------------------------

    async def stream_info(self) -> StreamInfo:
        """Ask the leader for the stream's configuration and state. Raises BucketMissingError if there is none."""
        answer = await self._session.request(f"$JS.API.STREAM.INFO.{self.stream}")
        self._check(read_reply(answer.data))
        return read_stream_info(answer.data)

    async def info(self) -> BucketInfo:
        """Ask the leader what the bucket is and how far it goes."""
        stream = await self.stream_info()
        self._direct = stream.config.allow_direct and self._session.answers_in_batches
        if self._pushed not in (None, self.follows_by_push(stream)):
            raise SessionClosedError(f"bucket {self.name!r} was upgraded: following it anew")
        return BucketInfo(
            created=stream.created,
            first_revision=stream.state.first_seq,
            first_time=stream.state.first_ts,
            last_revision=stream.state.last_seq,
            subjects=stream.state.num_subjects,
        )

    async def is_pushed(self) -> bool:
        """Ask whether writes are republished; from then on `info` raises SessionClosedError when that changes."""
        self._pushed = self.follows_by_push(await self.stream_info())
        return self._pushed

    def follows_by_push(self, stream: StreamInfo) -> bool:
        """Whether every write is republished where agents listen, and any replica answers their reads."""
        republish = stream.config.republish
        return (
            stream.config.allow_direct
            and republish is not None
            and republish.src in (f"{self._subjects}>", ">")
            and republish.dest == self.pushes
            and not republish.headers_only
        )

    async def page(self, start: int) -> Page:
        """Return the messages from revision `start` on, as whichever replica answers has them."""
        start = max(start, 1)
        if not self._direct:  # the leader answers, one message at a time
            message = await self.first_from(start)
            return Page((message,), complete=False) if message else Page((), complete=True)
        question = msgspec.json.encode({"seq": start, "batch": PAGE_SIZE, "next_by_subj": self.writes})
        try:
            async with asyncio.timeout(PAGE_TIMEOUT_S):
                answers = await self._session.request_until(_has_status, f"$JS.API.DIRECT.GET.{self.stream}", question)
        except TimeoutError:
            raise NoAnswerError(f"a page of bucket {self.name!r} took more than {PAGE_TIMEOUT_S:g} s") from None
        end = answers.pop().headers or {}
        if end["Status"] not in (END_OF_BATCH, NOT_FOUND):
            raise NatsError(f"bucket {self.name!r} can't be read: {end['Status']} {end.get('Description', '')}")
        messages = tuple(self.message(answer) for answer in answers)
        return Page(messages, complete=end["Status"] == NOT_FOUND or end.get("Nats-Num-Pending") == "0")

    async def first_from(self, start: int) -> Message | None:
        """Ask the leader for the first message from revision `start` on; None if there is none."""
        return await self._stored({"seq": start, "next_by_subj": self.writes})

    async def get(self, key: str) -> Entry | None:
        """Return what the leader holds under `key`; None if the key was never written."""
        message = await self._stored({"last_by_subj": self._subjects + key})
        return message.entry if message else None

    def message(self, received: Msg) -> Message:
        """Read a message that the server republished, or answered a walk with; UnreadableError if it is none."""
        return read_message(received.headers, received.data, self._subjects)

    async def _stored(self, question: dict[str, str | int]) -> Message | None:
        subject = f"$JS.API.STREAM.MSG.GET.{self.stream}"
        answer = await self._session.request(subject, msgspec.json.encode(question))
        reply = read_reply(answer.data)
        if reply.error and reply.error.err_code == MESSAGE_NOT_FOUND:
            return None
        self._check(reply)
        if reply.message is None:
            raise UnreadableError(f"an answer on {subject} carries no message")
        return unpack(reply.message, self._subjects)

    async def call(self, verb: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Call the JetStream API about this stream and return its answer; for settings that no struct here names."""
        answer = await self._session.request(f"$JS.API.{verb}.{self.stream}", msgspec.json.encode(payload))
        self._check(read_reply(answer.data))
        return read_members(answer.data)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        """Write `value` (None: a deletion marker) if the key's revision is `expected`; return the new one.

        Raises RevisionConflictError, WriteUnknownError, or NatsError if the write certainly did not happen.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        if value is None:
            headers["KV-Operation"] = "DEL"
        try:
            answer = await self._session.request(self._subjects + key, value or b"", headers)
            reply = read_reply(answer.data)
        except (NoAnswerError, SessionClosedError, UnreadableError) as error:
            raise WriteUnknownError(f"whether {key} was written is unknown: {error}") from None
        if reply.error and reply.error.err_code == WRONG_LAST_SEQUENCE:
            raise RevisionConflictError(f"{key} is not at revision {expected}: {reply.error.description}")
        self._check(reply)
        if not reply.seq:
            raise WriteUnknownError(f"whether {key} was written is unknown: the answer does not say")
        return reply.seq

    def _check(self, reply: Reply) -> None:
        if reply.error is None:
            return
        if reply.error.err_code == STREAM_NOT_FOUND:
            raise BucketMissingError(
                f"there is no bucket {self.name!r} on this NATS server",
                hint=f"make it with: ikto bucket create{' --leases' if self.name.endswith(RENEWALS) else ''}",
            )
        raise NatsError(
            f"NATS on bucket {self.name!r}: {reply.error.description} ({reply.error.err_code})",
            hint=HINTS.get(reply.error.err_code, ""),
        )


def _has_status(answer: Msg) -> bool:
    """Whether an answer is the end of a batch, or a refusal, rather than a message."""
    return "Status" in (answer.headers or {})
