"""One connection to one NATS server, from dial to close. There is no reconnecting here: a new session is dialled.

nats-py's own reconnecting is off: its buffered writes reach the server after they were given up ("ghost writes"),
and an expired credential or a dead read task ends it for good (docs/decisions/0003). A session that ends says so.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsPyError

from ikto_core.errors import NatsDeniedError, NatsError

DIAL_TIMEOUT_S = 10.0
"""For one server: TCP, TLS and login. nats-py hangs on a certificate that it does not trust, so this ends it."""

REQUEST_TIMEOUT_S = 5.0
PING_INTERVAL_S = 10
"""Two pings unanswered: the session is over after 20 to 30 s of silence."""

CLOSE_TIMEOUT_S = 2.0
NO_RESPONDERS = "503"
DENIED = "permissions violation for "
REFUSED = ("authorization violation", "authentication", "nkey", "jwt", "credentials", "user ")
"""What nats-py's messages contain, in lower case, when a server knows us and does not want us."""

log = structlog.get_logger(__name__)


class NatsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where NATS is and how to log in. Empty text: not used."""

    servers: tuple[str, ...]
    name: str = "ikto"  # as shown in the server's list of connections
    inbox: str = "_INBOX"  # prefix of reply subjects; a node of its own lets its permissions be narrow
    user: str = ""
    password: str = ""
    token: str = ""
    nkey_seed: str = ""  # path
    creds: str = ""  # path
    tls_ca: str = ""  # path; empty: the system's
    tls_cert: str = ""  # path
    tls_key: str = ""  # path


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
        self.denials: list[str] = []  # what the server refused us, in its words (lower case: nats-py's doing)

    @property
    def server(self) -> str:
        """The server's URL, without credentials."""
        url = self._client.connected_url
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}" if url else ""

    @property
    def client(self) -> Client:
        """The nats-py client, for what has no better way through this class."""
        return self._client

    async def closed(self) -> None:
        """Wait until the connection is gone, then raise SessionClosedError."""
        await self._closed.wait()
        raise SessionClosedError("the connection to NATS was closed")

    async def subscribe(self, subject: str, callback: Callable[[Msg], None]) -> None:
        """Have every message on `subject` passed to `callback`; in force at the server when this returns.

        A callback that raises would leave nats-py deaf: what it raises is logged and the message dropped.
        """

        async def guarded(message: Msg) -> None:
            try:
                callback(message)
            except Exception:
                log.warning("a message was dropped", subject=message.subject, exc_info=True)

        try:
            await self._client.subscribe(subject, cb=guarded)
            await self._client.flush(timeout=int(REQUEST_TIMEOUT_S))
        except (NatsPyError, OSError, TimeoutError) as error:
            raise SessionClosedError(f"could not subscribe to {subject}: {error}") from None

    async def request(self, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None) -> Msg:
        """Send a request and return its answer.

        Raises NoAnswerError, NatsDeniedError, SessionClosedError, and NatsError if nobody serves `subject`.
        """
        async for message in self.request_many(subject, payload, headers):
            if (message.headers or {}).get("Status") == NO_RESPONDERS:
                raise NatsError(f"nothing serves {subject}", hint="is JetStream enabled, and the bucket there?")
            return message
        raise AssertionError("request_many ends only when left")

    async def request_many(
        self, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Msg]:
        """Send a request and yield its answers as they come; leave the loop when you have the last one.

        Raises as `request`; the time limit counts from one answer to the next.
        """
        reply = f"{self._inbox}.{next(self._tokens)}"
        answers: asyncio.Queue[Answer] = asyncio.Queue()
        self._waiting[reply] = (subject, answers)
        try:
            await self._publish(subject, payload, reply, headers)
            while True:
                try:
                    async with asyncio.timeout(REQUEST_TIMEOUT_S):
                        answer = await answers.get()
                except TimeoutError:
                    raise NoAnswerError(f"no answer on {subject} within {REQUEST_TIMEOUT_S:g} s") from None
                if isinstance(answer, NatsError):
                    raise answer
                yield answer
        finally:
            del self._waiting[reply]

    async def _publish(self, subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None) -> None:
        if self._closed.is_set():
            raise SessionClosedError("the connection to NATS is closed")
        try:
            await self._client.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)
        except (NatsPyError, OSError) as error:
            raise SessionClosedError(f"could not send to {subject}: {error}") from None

    def _answered(self, message: Msg) -> None:
        _, answers = self._waiting.get(message.subject, ("", None))
        if answers:
            answers.put_nowait(message)

    async def _on_error(self, error: Exception) -> None:
        """Take what nats-py reports on the side; a denial ends the requests that it is about."""
        text = str(error).lower()
        log.debug("nats", error=text)
        if DENIED not in text:
            return
        self.denials.append(text.removeprefix("nats: "))
        for subject, answers in self._waiting.values():
            if f'"{subject.lower()}"' in text:
                answers.put_nowait(_denied(text))

    async def _on_closed(self) -> None:
        self._closed.set()
        for _, answers in self._waiting.values():
            answers.put_nowait(SessionClosedError("the connection to NATS was closed"))


@asynccontextmanager
async def dial(settings: NatsSettings, server: str) -> AsyncIterator[Session]:
    """Connect to one server and log in; the connection is closed on leaving.

    Raises NatsDeniedError if the server does not want us, NatsError if it can't be reached in DIAL_TIMEOUT_S.
    """
    client = Client()
    inbox = f"{settings.inbox}.{client._nuid.next().decode()}"  # noqa: SLF001 - new_inbox() knows no prefix yet
    session = Session(client, inbox)
    try:
        await _connect(session, client, settings, server)
        await session.subscribe(f"{inbox}.*", session._answered)  # noqa: SLF001 - the other half of one thing
        yield session
    finally:
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await client.close()


async def _connect(session: Session, client: Client, settings: NatsSettings, server: str) -> None:
    seen: list[Exception] = []

    async def on_error(error: Exception) -> None:
        seen.append(error)
        await session._on_error(error)  # noqa: SLF001 - as above

    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            await client.connect(
                [server],
                error_cb=on_error,
                closed_cb=session._on_closed,  # noqa: SLF001 - as above
                **_options(settings),
            )
    except TimeoutError:
        raise _unreachable(server, seen[-1] if seen else TimeoutError("no answer")) from None
    except (NatsPyError, OSError, ValueError) as error:
        raise _unreachable(server, seen[-1] if seen else error) from None


def _options(settings: NatsSettings) -> dict[str, Any]:
    options: dict[str, Any] = {
        "name": settings.name,
        "inbox_prefix": settings.inbox,
        "allow_reconnect": False,
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0,
        "connect_timeout": int(DIAL_TIMEOUT_S),
        "ping_interval": PING_INTERVAL_S,
        "pending_size": 0,
        "user": settings.user or None,
        "password": settings.password or None,
        "token": settings.token or None,
        "nkeys_seed": settings.nkey_seed or None,
        "user_credentials": settings.creds or None,
    }
    if settings.tls_ca or settings.tls_cert:
        options["tls"] = ssl.create_default_context(cafile=settings.tls_ca or None)
        if settings.tls_cert:
            options["tls"].load_cert_chain(settings.tls_cert, settings.tls_key or None)
    return options


def _unreachable(server: str, cause: Exception) -> NatsError:
    server = re.sub("//.*@", "//", server)  # a URL may hold a password, and this goes to log and status
    text = str(cause).removeprefix("nats: ") or type(cause).__name__
    if any(word in text.lower() for word in REFUSED):
        return NatsDeniedError(f"{server} refused the login: {text}", hint="check user, password, token or creds file")
    return NatsError(f"{server} can't be reached: {text}", hint="check nats_url, and that the server runs")


def _denied(text: str) -> NatsDeniedError:
    return NatsDeniedError(
        f"NATS denied a {text[text.index(DENIED) :]}", hint="docs/operations.md lists the permissions a node needs"
    )
