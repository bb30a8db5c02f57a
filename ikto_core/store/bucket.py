"""A KV bucket on a NATS server: reads it in pages, and reads and writes single keys."""

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec

from ikto_core.errors import BucketMissingError, NatsError, RevisionConflictError, WriteUnknownError
from ikto_core.mesh.view import Entry
from ikto_core.store.answers import AnswerLimit, NoAnswerError
from ikto_core.store.api import (
    NO_TIME,
    ForeignSubjectError,
    Reply,
    StreamInfo,
    UnreadableError,
    read_json_object,
    read_message,
    read_reply,
    read_stored_message,
    read_stream_info,
)
from ikto_core.store.interfaces import BucketInfo, Message, Page
from ikto_core.store.received import Received
from ikto_core.store.refusals import (
    MESSAGE_NOT_FOUND,
    STREAM_NOT_FOUND,
    WRONG_LAST_SEQUENCE,
    mirror_refusal,
    refusal,
)
from ikto_core.store.session import NoResponderError, Session, SessionClosedError
from ikto_core.store.subjects import JETSTREAM_API, RENEWALS_SUFFIX, Subjects

PAGE_SIZE = 10_000
"""Messages per page."""

PAGE_BYTES = 2**19
"""After so many bytes of values the server ends a page: about 2600 records, 1 MB in all.

A server closes a connection that has not taken within ten seconds what is to be sent: a larger page would never arrive
over a link of less than a megabit a second (docs/performance.md).
"""

PAGE_LIMIT_BYTES = PAGE_BYTES + 2**25
"""A page of more bytes is an error. Its last message may be large, and the server does not count every byte."""

AT_ONCE = 500
"""How many messages are decoded before the event loop goes on: 2 ms."""

EVERYTHING = ">"
"""All subjects of a stream. It reads all its messages in order, while any other filter searches and counts subjects."""

END_OF_BATCH, NOT_FOUND = "204", "404"


class Bucket:
    """One KV bucket, accessed through one session. Implements BucketReader and RecordStore.

    Every method raises NatsError if no answer comes, or the answer is a refusal or can't be read.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self.name = name
        self.subjects = Subjects(name, session.api_prefix)
        self.stream = self.subjects.stream
        self.push_subject = self.subjects.pushes  # writes are republished to it
        self.write_subject = self.subjects.stored  # writes are published to it, in the stream's account
        self._subject_prefix = self.subjects.stored_prefix
        self._batch_get = session.supports_batch_get
        self._filter = self.write_subject  # of the messages in a page
        self._is_shared = False  # the stream has messages of other subjects
        self._republishes: bool | None = None  # as first seen; None: not asked yet

    def renewals(self) -> "Bucket":
        """Return the renewals bucket, where the leases of this bucket's records are renewed (lease/policy.py)."""
        return Bucket(self._session, f"{self.name}{RENEWALS_SUFFIX}")

    # -- reading ---------------------------------------------------------------------------------------------------

    async def stream_info(self) -> StreamInfo:
        """Ask the leader for the stream's configuration and state. Raises BucketMissingError if there is no stream."""
        answer = await self._session.request(self.subjects.request("STREAM.INFO"))
        self._check(read_reply(answer.data))
        return read_stream_info(answer.data)

    async def info(self) -> BucketInfo:
        """Ask the leader for the state of the bucket. Raises SessionClosedError after an upgrade of the bucket."""
        stream = await self.stream_info()
        self._batch_get = stream.config.allow_direct and self._session.supports_batch_get
        is_own = stream.config.stores_only(self.write_subject) and not self._is_shared
        self._filter = EVERYTHING if is_own else self.write_subject
        if self._republishes not in (None, self.republishes_writes(stream)):
            raise SessionClosedError(f"bucket {self.name!r} was upgraded: following it again from the start")
        return BucketInfo(
            created=stream.created,
            first_revision=stream.state.first_seq,
            first_time=stream.state.first_ts,
            last_revision=stream.state.last_seq,
            last_time="" if stream.state.last_ts == NO_TIME else stream.state.last_ts,
            messages=stream.state.messages,
            subjects=stream.state.num_subjects,
        )

    def note_republishing(self, stream: StreamInfo) -> bool:
        """Return whether writes are republished. From then on `info` raises SessionClosedError if that changes."""
        self._republishes = self.republishes_writes(stream)
        return self._republishes

    def republishes_writes(self, stream: StreamInfo) -> bool:
        """Return whether a stream republishes every write to `push_subject` and allows Direct Get from any replica."""
        republish = stream.config.republish
        return (
            stream.config.allow_direct
            and republish is not None
            and republish.src in (f"{self._subject_prefix}>", ">")
            and republish.dest == self.push_subject
            and not republish.headers_only
        )

    async def page(self, start: int) -> Page:
        """Return the messages from revision `start` on. Any replica may answer, even one that lags.

        A page has no time limit while its messages arrive. Raises UnreadableError if an answer has no revision: a
        message of the page may be missing then.
        """
        start = max(start, 1)
        if not self._batch_get:  # ask the leader for one message at a time
            message = await self.first_from(start)
            return Page((message,), complete=False) if message else Page((), complete=True)
        try:
            return await self._page(start)
        except ForeignSubjectError:
            if self._filter == self.write_subject:
                raise
            self._is_shared, self._filter = True, self.write_subject  # other subjects were stored here once
            return await self._page(start)

    async def _page(self, start: int) -> Page:
        request = msgspec.json.encode(
            {"seq": start, "batch": PAGE_SIZE, "max_bytes": PAGE_BYTES, "next_by_subj": self._filter}
        )
        limit = AnswerLimit(messages=PAGE_SIZE + 1, size=PAGE_LIMIT_BYTES)
        subject = self.subjects.request("DIRECT.GET")
        *answers, end = await self._session.request_until(_is_status, subject, request, limit=limit)
        if end.status not in (END_OF_BATCH, NOT_FOUND):
            raise NatsError(f"bucket {self.name!r} can't be read: {end.status} {end.status_text}")
        messages: list[Message] = []
        for at in range(0, len(answers), AT_ONCE):
            messages += [self.message(answer) for answer in answers[at : at + AT_ONCE]]
            await asyncio.sleep(0)
        return Page(tuple(messages), complete=end.status == NOT_FOUND or end.header("Nats-Num-Pending") == "0")

    async def first_from(self, start: int) -> Message | None:
        """Ask the leader for the first message from revision `start` on; None if there is none."""
        return await self._get_stored({"seq": start, "next_by_subj": self.write_subject})

    async def get(self, key: str) -> Entry | None:
        """Return the entry of `key` at the leader; None if the key was never written."""
        message = await self._get_stored({"last_by_subj": self._subject_prefix + key})
        return message.entry if message else None

    def message(self, received: Received) -> Message:
        """Decode a message of a Direct Get answer. Raises UnreadableError."""
        return read_message(received, self._subject_prefix)

    def push(self, received: Received) -> Message:
        """Decode a republished message. Raises UnreadableError for anything else that came on a push subject.

        Only a republished message has its key in its subject. A client can have the server send answers to a push
        subject, even a whole page, by naming it as its reply subject.
        """
        key = (received.header("Nats-Subject") or "").removeprefix(self._subject_prefix)
        if not key or not received.subject.endswith(f".{key}"):
            raise UnreadableError(f"a message on {self.push_subject} is not a republished write")
        return self.message(received)

    async def _get_stored(self, request: dict[str, str | int]) -> Message | None:
        subject = self.subjects.request("STREAM.MSG.GET")
        answer = await self._session.request(subject, msgspec.json.encode(request))
        reply = read_reply(answer.data)
        if reply.error and reply.error.err_code == MESSAGE_NOT_FOUND:
            return None
        self._check(reply)
        if reply.message is None:
            raise UnreadableError(f"an answer on {subject} has no message")
        return read_stored_message(reply.message, self._subject_prefix)

    async def call(self, verb: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Call the JetStream API for this stream and return all fields of its answer."""
        answer = await self._session.request(self.subjects.request(verb), msgspec.json.encode(payload))
        self._check(read_reply(answer.data))
        return read_json_object(answer.data)

    # -- writing ---------------------------------------------------------------------------------------------------

    async def put(self, key: str, value: bytes | None, *, expected: int) -> int:
        """Write `value` (None: a deletion marker) if the key's revision is `expected`; return the new one.

        Raises RevisionConflictError, WriteUnknownError, or NatsError if the write certainly did not happen.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(expected)}
        if value is None:
            headers["KV-Operation"] = "DEL"
        try:
            answer = await self._session.request(self.subjects.write(key), value or b"", headers)
            reply = read_reply(answer.data)
        except NoResponderError as error:
            raise mirror_refusal(self.name, (await self.stream_info()).config) or error from None
        except (NoAnswerError, SessionClosedError, UnreadableError) as error:
            raise WriteUnknownError(f"unknown whether {key} was written: {error}") from None
        if reply.error and reply.error.err_code in WRONG_LAST_SEQUENCE:
            conflict = RevisionConflictError(f"{key} is not at revision {expected}: {reply.error.description}")
            raise await self._mirror_refusal() or conflict
        self._check(reply)
        if not reply.seq:
            raise WriteUnknownError(f"unknown whether {key} was written: the answer has no revision")
        return reply.seq

    async def _mirror_refusal(self) -> NatsError | None:
        """Return why no write can succeed if this is a mirror: writes go to the original, which has other revisions."""
        try:
            return mirror_refusal(self.name, (await self.stream_info()).config)
        except NatsError:  # the refusal of the write says more
            return None

    def _missing_hint(self) -> str:
        create = f"ikto bucket create{' --leases' if self.name.endswith(RENEWALS_SUFFIX) else ''}"
        if self._session.domain and self.subjects.api_prefix == JETSTREAM_API:
            here = f"this server is in the JetStream domain {self._session.domain!r}"
            return f"{here}: if the bucket is in another one, set nats_domain; otherwise create it: {create}"
        return f"create it: {create}"

    def _check(self, reply: Reply) -> None:
        if reply.error is None:
            return
        if reply.error.err_code == STREAM_NOT_FOUND:
            raise BucketMissingError(
                f"there is no bucket {self.name!r} on this NATS server",
                hint=self._missing_hint(),
            )
        raise refusal(self.name, reply.error)


def _is_status(answer: Received) -> bool:
    """Return whether an answer is the server's end of a batch, or its refusal, and not a message."""
    return answer.status != ""
