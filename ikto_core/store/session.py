"""One connection to one NATS server, until it closes. There is no reconnecting here: a new session is dialled.

nats-py's own reconnecting is off: its buffered writes reach the server after they were given up ("ghost writes"),
and an expired credential or a dead read task ends it for good (docs/decisions/0003). A session that ends says so.
"""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsPyError

from ikto_core.errors import NatsDeniedError, NatsError
from ikto_core.store.cancelling import cancellation_kept

REQUEST_TIMEOUT_S = 5.0
DEFAULT_INBOX = "_INBOX"
NO_RESPONDERS = "503"
DENIED = "permissions violation for "

log = structlog.get_logger(__name__)


class NatsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where NATS is and how to log in. Empty text: not used."""

    servers: tuple[str, ...]
    name: str = "ikto"  # as shown in the server's list of connections
    inbox: str = DEFAULT_INBOX  # prefix of reply subjects; a node of its own lets its permissions be narrow
    user: str = ""
    password: str = ""
    token: str = ""
    nkey_seed: str = ""  # path
    creds: str = ""  # path
    tls_ca: str = ""  # path; empty: the system's
    tls_cert: str = ""  # path
    tls_key: str = ""  # path

    def __repr__(self) -> str:
        return f"NatsSettings(name={self.name!r}, …)"  # the rest may be secret, the URLs too


class SessionClosedError(NatsError):
    """The connection is gone; dial again."""


class NoAnswerError(NatsError):
    """A request was sent and nothing came back in time: whether it was carried out is unknown."""


Answer = Msg | NatsError


class Session:
    """A live connection. Requests fail at once, with the server's words, when it denies them."""

    def __init__(self, client: Client, inbox: str) -> None:
        self._client = client
        self._inbox = inbox
        self._tokens = count(1)
        self._waiting: dict[str, tuple[str, asyncio.Queue[Answer]]] = {}  # by reply subject; what was asked, answers
        self._closed = asyncio.Event()
        self._listening: set[str] = set()  # subjects, in lower case
        self._denials: set[str] = set()  # what the server refused us, in its words (lower case: nats-py's doing)

    @property
    def server(self) -> str:
        """The server's URL, without credentials."""
        url = self._client.connected_url
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}" if url else ""

    @property
    def answers_in_batches(self) -> bool:
        """Whether the server knows Direct Get of many messages at once: nats-server 2.11 and later."""
        version = self._client.connected_server_version
        return (version.major, version.minor) >= (2, 11)

    @property
    def client(self) -> Client:
        """The nats-py client, for what has no better way through this class."""
        return self._client

    async def closed(self) -> None:
        """Wait until the connection is gone, then raise SessionClosedError."""
        await self._closed.wait()
        raise self._gone()

    async def subscribe(self, subject: str, callback: Callable[[Msg], None]) -> None:
        """Have every message on `subject` passed to `callback`; in force at the server when this returns.

        Raises NatsDeniedError if the server does not allow it, SessionClosedError if it is gone.
        A callback that raises would leave nats-py deaf: what it raises is logged and the message dropped.
        """

        async def guarded(message: Msg) -> None:
            try:
                callback(message)
            except Exception:
                log.warning("a message was dropped", subject=message.subject, exc_info=True)

        try:
            with cancellation_kept():
                await self._client.subscribe(subject, cb=guarded)
                for _ in range(2):  # nats-py's PING overtakes the SUB that still waits in its buffer, the second can't
                    await self._client.flush(timeout=int(REQUEST_TIMEOUT_S))
        except (NatsPyError, OSError, TimeoutError) as error:
            raise SessionClosedError(f"could not subscribe to {subject}: {error}") from None
        for denial in self._denials:
            if f'"{subject.lower()}"' in denial:
                raise _denied(denial)
        self._listening.add(subject.lower())

    async def request(self, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None) -> Msg:
        """Send a request and return its answer.

        Raises NoAnswerError, NatsDeniedError, SessionClosedError, and NatsError if nobody serves `subject`.
        """
        (answer,) = await self.request_until(lambda _: True, subject, payload, headers)
        if (answer.headers or {}).get("Status") == NO_RESPONDERS:
            raise NatsError(f"nothing serves {subject}", hint="is JetStream enabled, and the bucket there?")
        return answer

    async def request_until(
        self,
        is_last: Callable[[Msg], bool],
        subject: str,
        payload: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> list[Msg]:
        """Send a request and return its answers up to the one that `is_last` says is the last.

        Raises as `request`; the time limit counts from one answer to the next.
        """
        reply = f"{self._inbox}.{next(self._tokens)}"
        waiting: asyncio.Queue[Answer] = asyncio.Queue()
        self._waiting[reply] = (subject, waiting)
        answers: list[Msg] = []
        try:
            await self._publish(subject, payload, reply, headers)
            while not answers or not is_last(answers[-1]):
                answers.append(await self._next(waiting, subject))
        finally:
            del self._waiting[reply]
        return answers

    async def _next(self, waiting: asyncio.Queue[Answer], subject: str) -> Msg:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                answer = await waiting.get()
        except TimeoutError:
            raise NoAnswerError(f"no answer on {subject} within {REQUEST_TIMEOUT_S:g} s") from None
        if isinstance(answer, NatsError):
            raise answer
        return answer

    async def _publish(self, subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None) -> None:
        if self._closed.is_set():
            raise self._gone()
        try:
            with cancellation_kept():
                await self._client.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)
        except (NatsPyError, OSError) as error:
            raise SessionClosedError(f"could not send to {subject}: {error}") from None

    def answered(self, message: Msg) -> None:
        """Pass on what came to our inbox; called for nats-py."""
        _, answers = self._waiting.get(message.subject, ("", None))
        if answers:
            answers.put_nowait(message)

    async def on_error(self, error: Exception) -> None:
        """Take what nats-py reports on the side; a denial ends the requests that it is about.

        One of a subscription that stood, when permissions were changed, ends the session: given back, they do not bring
        the subscription back.
        """
        text = str(error).lower()
        log.debug("nats", error=text)
        if DENIED not in text:
            return
        self._denials.add(text)
        for subject, answers in self._waiting.values():
            if f'"{subject.lower()}"' in text:
                answers.put_nowait(_denied(text))
        if any(f'"{subject}"' in text for subject in self._listening):
            await self._client.close()

    async def on_closed(self) -> None:
        """End everything that waits; called for nats-py, once."""
        self._closed.set()
        for _, answers in self._waiting.values():
            answers.put_nowait(self._gone())

    def _gone(self) -> SessionClosedError:
        because = str(self._client.last_error or "").removeprefix("nats: ").strip("'").lower()
        return SessionClosedError(f"the connection to NATS was closed{': ' if because else ''}{because}")


def _denied(text: str) -> NatsDeniedError:
    return NatsDeniedError(
        f"NATS denied a {text[text.index(DENIED) :]}", hint="docs/operations.md lists the permissions a node needs"
    )
