"""Asks the agents of a mesh how they are: one question, and within bounds of time, bytes and count one answer of each.

`Asker(session, bucket).ask(roster_of(view))` asks all nodes; `to` asks one only, and with `about` it tells more of one
peer. Any session will do: that of an agent, or one of a program on a host without an agent.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress

import msgspec

from ikto_core.errors import NatsDeniedError
from ikto_core.fleet.answer import (
    MAX_ANSWER_BYTES,
    NodeAnswer,
    Request,
    UnreadableAnswerError,
    jitter_s,
    read_answer,
)
from ikto_core.mesh.records import PEER_KEYS
from ikto_core.mesh.view import MeshView
from ikto_core.store.inbox import random_token
from ikto_core.store.received import Received
from ikto_core.store.session import Session
from ikto_core.store.subjects import Subjects
from ikto_core.values.keys import PublicKey

PATIENCE_S = 3.0
"""How long an answer may take beside the jitter: reading a device, the way, and a queue in between."""

TRIES_PER_NODE = 16
"""So many messages are verified for each node: others can send forged ones, and each costs a tenth of a millisecond."""

Roster = Mapping[PublicKey, frozenset[str]]
"""Who is asked: the nodes, each with the KV keys of its records."""


class Answered(msgspec.Struct, frozen=True):
    """An answer, and when it was received."""

    answer: NodeAnswer
    received_s: float  # seconds since the epoch

    @property
    def clock_offset_s(self) -> float:
        """How far the node's clock is ahead of this one, less the time that the answer was on its way."""
        return self.answer.time_s - self.received_s


class Answers(msgspec.Struct, kw_only=True):
    """What came of one question."""

    asked: frozenset[PublicKey]
    by_node: dict[PublicKey, Answered] = msgspec.field(default_factory=dict)
    forged: dict[PublicKey, int] = msgspec.field(default_factory=dict)  # refused answers in a node's name
    foreign: int = 0  # other messages on the subjects of answers: to questions of others, or of nobody
    size: int = 0  # bytes of the answers to this question, the refused ones too
    took_s: float = 0.0

    @property
    def missing(self) -> frozenset[PublicKey]:
        """The nodes that were asked and did not answer."""
        return self.asked - self.by_node.keys()


class Asker:
    """Asks over one session, one question at a time. A session has no more than one asker.

    Args:
        session: The session. It needs the permissions of `asker_permissions` (store/permissions.py).
        bucket: The mesh's bucket.

    """

    def __init__(self, session: Session, bucket: str) -> None:
        self._session = session
        self._subjects = Subjects(bucket, session.api_prefix)
        self._prefix = self._subjects.answered.removesuffix("*")
        self._lock = asyncio.Lock()

    async def ask(
        self,
        roster: Roster,
        *,
        to: PublicKey | None = None,
        about: PublicKey | None = None,
        timeout_s: float | None = None,
    ) -> Answers:
        """Ask all nodes, or one; return their answers once all have come, or the time is over.

        Answers are believed only from nodes of `roster`, signed with their keys.

        Args:
            roster: The nodes. Take them from records that are accepted.
            to: The only node that is asked; None: all.
            about: A peer of which the asked nodes tell more.
            timeout_s: How long to wait; None: PATIENCE_S, and the jitter of a mesh of this size.

        Raises NatsDeniedError if NATS does not let this client ask, SessionClosedError if the connection is closed.

        """
        self._refuse_other_account()
        asked = roster if to is None else _only(roster, to)
        wait_s = PATIENCE_S + (0 if to else jitter_s(len(roster), 1)) if timeout_s is None else timeout_s
        nonce = random_token()
        question = _Question(nonce, self._subjects.bucket, asked)
        request = Request(nonce=nonce, to=to.text if to else None, about=about.text if about else None)
        began = time.monotonic()
        async with self._lock, self._listening(question, one=to is not None):
            await self._session.publish(self._subjects.asked, msgspec.json.encode(request))
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await question.complete.wait()
            if not question.answers.by_node:
                self._session.refuse_denied(self._subjects.asked)
        question.answers.took_s = time.monotonic() - began
        return question.answers

    @asynccontextmanager
    async def _listening(self, question: "_Question", *, one: bool) -> AsyncIterator[None]:
        """Subscribe to the answers for as long as the block lasts; `one`: to those of one node only."""

        def receive(message: Received) -> None:
            question.add(message.subject.removeprefix(self._prefix), message.data, time.time())

        subjects = [self._subjects.answer(key) for key in question.kv_keys] if one else [self._subjects.answered]
        try:
            for subject in subjects:
                await self._session.subscribe(subject, receive)
            yield
        finally:
            for subject in subjects:
                await self._session.unsubscribe(subject)

    def _refuse_other_account(self) -> None:
        if self._subjects.in_other_account:
            raise NatsDeniedError(
                "from an account of its own, a node can't ask the other nodes",
                hint='log in to the bucket\'s account, with nats_api_prefix ""; `ikto nats --asker` prints a user',
            )


class _Question:
    """Collects the answers to one question: one of each node, each verified."""

    def __init__(self, nonce: str, bucket: str, roster: Roster) -> None:
        self.answers = Answers(asked=frozenset(roster))
        self.complete = asyncio.Event()
        self._nonce = nonce
        self._bucket = bucket
        self._nodes = {kv_key: key for key, kv_keys in roster.items() for kv_key in kv_keys}
        self._tries: dict[PublicKey, int] = {}
        self._end_if_complete()

    @property
    def kv_keys(self) -> Collection[str]:
        """The KV keys of the records of the nodes that are asked."""
        return self._nodes.keys()

    def add(self, record: str, data: bytes, now_s: float) -> None:
        """Read a message; `record` is the last word of its subject, as in the KV key of a record. Never raises."""
        kv_key = f"{PEER_KEYS}{record}"
        key = self._nodes.get(kv_key)
        if key is None or self._nonce.encode() not in data[:MAX_ANSWER_BYTES]:
            self.answers.foreign += 1
            return
        self.answers.size += len(data)
        tries = self._tries[key] = self._tries.get(key, 0) + 1
        if key in self.answers.by_node or tries > TRIES_PER_NODE:
            return
        try:
            answer = read_answer(data, self._bucket, kv_key, key)
            if answer.nonce != self._nonce:
                raise UnreadableAnswerError("it answers another question")
        except UnreadableAnswerError:
            self.answers.forged[key] = self.answers.forged.get(key, 0) + 1
            return
        self.answers.by_node[key] = Answered(answer, now_s)
        self._end_if_complete()

    def _end_if_complete(self) -> None:
        if not self.answers.missing:
            self.complete.set()


def roster_of(view: MeshView) -> Roster:
    """Return the nodes of a view: its peers, and this node if it has a record there."""
    roster = {key: frozenset(accepted.key for accepted in peer.records) for key, peer in view.peers.items()}
    for record in view.own_records.values():
        if record.record.public_key == view.rules.own_key:
            roster[view.rules.own_key] = roster.get(view.rules.own_key, frozenset()) | {record.key}
    return roster


def _only(roster: Roster, key: PublicKey) -> Roster:
    return {key: roster[key]} if key in roster else {}
