"""Answers for this node: at most one small answer to a question, after a jitter, and only so often."""

import asyncio
import heapq
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import NamedTuple, Protocol

import structlog

from ikto_core.errors import NatsError
from ikto_core.fleet.answer import NodeAnswer, Request, jitter_s, read_request, signed_answer
from ikto_core.store.received import Received
from ikto_core.store.session import Session, SessionClosedError
from ikto_core.store.subjects import Subjects
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.signatures import NONCE_BYTES

BURST = 5
"""So many questions are answered one after the other."""

ANSWER_EVERY_S = 2.0
"""Beyond BURST, one question in this time is answered, whoever asks. The others get no answer."""

MAX_DUE = 2 * BURST
"""So many questions wait for their answer; none is answered once NATS has denied an answer."""

log = structlog.get_logger(__name__)


class HealthSource(Protocol):
    """What this node knows of itself."""

    @property
    def kv_key(self) -> str | None:
        """The KV key of this node's record; None: it holds no claim, and answers nothing."""
        ...

    @property
    def nodes(self) -> int:
        """The number of nodes of the mesh, this one included."""
        ...

    async def answer(self, request: Request) -> NodeAnswer:
        """Return the answer to a question. Reads the device."""
        ...


class AnswerBudget:
    """Allows BURST answers at once, and later one every ANSWER_EVERY_S. Pure."""

    def __init__(self) -> None:
        self._left = float(BURST)
        self._at = 0.0

    def take(self, now: float) -> bool:
        """Return whether one more answer may be given at `now`, in seconds of a clock that never goes back."""
        self._left = min(BURST, self._left + (now - self._at) / ANSWER_EVERY_S)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class _Due(NamedTuple):
    at: float  # by time.monotonic
    number: int  # questions of one time are answered in the order of their arrival
    request: Request


class Responder:
    """Answers the questions that arrive over one session after another.

    Args:
        bucket: The mesh's bucket.
        private_key: Signs the answers; its public key is that of the record.
        source: What to answer.
        random: For the jitter, and for the nonces of signatures; in an agent it must be unpredictable.
        clock: Seconds; never goes back.

    """

    def __init__(
        self,
        bucket: str,
        private_key: PrivateKey,
        source: HealthSource,
        random: Random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.answered = 0  # questions
        self.refused = 0  # questions beyond the budget
        self._bucket = bucket
        self._private_key = private_key
        self._own_key = private_key.public().text
        self._source = source
        self._random = random
        self._clock = clock
        self._budget = AnswerBudget()
        self._due: list[_Due] = []  # at most MAX_DUE
        self._received = 0
        self._new = asyncio.Event()
        self._warned = False

    async def run(self, session: Session) -> None:
        """Answer until cancelled; return if NATS does not let this node be asked. Raises SessionClosedError."""
        self._due.clear()
        try:
            await session.subscribe(Subjects(self._bucket).asked, self.receive)
            await self.answer_received(session)
        except SessionClosedError:
            raise
        except NatsError as error:  # a denial, or an answer larger than the server takes
            self._warn_once(str(error))

    async def answer_received(self, session: Session) -> None:
        """Answer what `receive` was given, when it is due. Raises NatsError if NATS takes no answer."""
        subjects = Subjects(self._bucket, session.api_prefix)
        while True:
            await self._answer(session, subjects, await self._next_due())

    async def _answer(self, session: Session, subjects: Subjects, request: Request) -> None:
        """Answer a question, unless the claim was lost meanwhile."""
        if key := self._source.kv_key:
            await session.publish(subjects.answer(key), await self.message(request, key))
            self.answered += 1

    def receive(self, asked: Received) -> None:
        """Note a question to this node; one beyond the budget is dropped. Raises UnreadableAnswerError."""
        request = read_request(asked.data)
        if request.to not in (None, self._own_key) or self._source.kv_key is None:
            return
        now = self._clock()
        if len(self._due) >= MAX_DUE or not self._budget.take(now):
            self.refused += 1
            return
        pause_s = 0.0 if request.to else jitter_s(self._source.nodes, self._random.random())
        self._received += 1
        heapq.heappush(self._due, _Due(now + pause_s, self._received, request))
        self._new.set()

    async def message(self, request: Request, kv_key: str) -> bytes:
        """Return the message that answers a question."""
        answer = await self._source.answer(request)
        return signed_answer(answer, self._private_key, self._bucket, kv_key, self._random.randbytes(NONCE_BYTES))

    async def _next_due(self) -> Request:
        """Wait until an answer is due, and return its question."""
        while True:
            self._new.clear()
            pause_s = self._due[0].at - self._clock() if self._due else None
            if pause_s is not None and pause_s <= 0:
                return heapq.heappop(self._due).request
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._new.wait()

    def _warn_once(self, error: str) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "this node answers no questions about its health",
                error=error,
                hint="`ikto nats permissions` prints what it needs; mesh_answers = false ends this warning",
            )


def about_key(request: Request) -> PublicKey | None:
    """Return the key of the peer that a question is about; None if it is about none, or the key is no key."""
    try:
        return PublicKey.parse(request.about) if request.about else None
    except ValueError:
        return None
