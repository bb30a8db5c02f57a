"""The answers to one request: received one by one, and no more than the request can have."""

import asyncio

import msgspec

from ikto_core.errors import NatsError
from ikto_core.store.received import Received

REQUEST_TIMEOUT_S = 5.0


class NoAnswerError(NatsError):
    """No answer to a request came in time; it is unknown whether the request was carried out."""


class AnswerLimit(msgspec.Struct, frozen=True):
    """How many answers to a request are read. Who sends more is no server that Ikto can work with."""

    messages: int
    size: int  # bytes of all header blocks and payloads together


ONE_ANSWER = AnswerLimit(messages=1, size=2**25)


class Answers:
    """The answers that were received and not read yet, and the error that ends them.

    Args:
        subject: The subject of the request.
        limit: What is kept in memory; an answer beyond it ends the request with an error.

    """

    def __init__(self, subject: str, limit: AnswerLimit) -> None:
        self.subject = subject
        self._limit = limit
        self._messages = 0
        self._size = 0
        self._unread: asyncio.Queue[Received | NatsError] = asyncio.Queue()
        self._ended = False

    def add(self, answer: Received) -> None:
        """Add an answer, or discard it and end with an error if it is beyond the limit."""
        self._messages += 1
        self._size += len(answer.data) + len(answer.header_block)
        if self._messages > self._limit.messages or self._size > self._limit.size:
            self.end(NatsError(f"the answer on {self.subject} does not end: {self._messages} messages"))
        elif not self._ended:
            self._unread.put_nowait(answer)

    def end(self, error: NatsError) -> None:
        """Raise an error in the request, after the answers that were received before."""
        if not self._ended:
            self._ended = True
            self._unread.put_nowait(error)

    async def next(self) -> Received:
        """Return the next answer. Raises NoAnswerError after REQUEST_TIMEOUT_S, or the error that ended the answers."""
        answer = await self._wait() if self._unread.empty() else self._unread.get_nowait()
        if isinstance(answer, NatsError):
            raise answer
        return answer

    async def _wait(self) -> Received | NatsError:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                return await self._unread.get()
        except TimeoutError:
            raise NoAnswerError(f"no answer on {self.subject} within {REQUEST_TIMEOUT_S:g} s") from None
