"""A session: one connection to one NATS server, until it closes. It never reconnects; a new session is dialled instead.

nats-py's own reconnecting is off. With it, buffered writes reach the server after their callers have given up ("ghost
writes"), and an expired credential or a dead read task ends it permanently (docs/decisions/0003).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
import structlog
from nats.errors import Error as NatsPyError

from ikto_core.errors import NatsError, described
from ikto_core.store.answers import ONE_ANSWER, REQUEST_TIMEOUT_S, AnswerLimit, Answers
from ikto_core.store.cancelling import preserve_cancellation
from ikto_core.store.client import Client, Listener
from ikto_core.store.denials import DENIED, OF_SUBSCRIPTION, Denials, denied_error
from ikto_core.store.inbox import DEFAULT_INBOX, random_token
from ikto_core.store.received import Received, header_size
from ikto_core.store.repeats import RepeatFilter
from ikto_core.store.subjects import JETSTREAM_API, no_responder_hint
from ikto_core.values.addressing import Prefix

NO_RESPONDERS = "503"

log = structlog.get_logger(__name__)


class NatsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The NATS servers and the login. An empty string: not used."""

    servers: tuple[str, ...]
    name: str = "ikto"  # shown in the server's list of connections
    inbox: str = DEFAULT_INBOX  # prefix of the subjects of answers; a prefix per node allows narrow permissions
    api_prefix: str = JETSTREAM_API  # of the bucket's JetStream API; ends with a dot
    user: str = ""
    password: str = ""
    token: str = ""
    nkey_seed: str = ""  # path
    creds: str = ""  # path
    mesh: Prefix | None = None  # the mesh's network, for errors; None: not known
    tls_first: bool = False  # begin with TLS, before the server has sent anything
    tls_ca: str = ""  # path; empty: the system's
    tls_cert: str = ""  # path
    tls_key: str = ""  # path

    def __repr__(self) -> str:
        return f"NatsSettings(name={self.name!r}, …)"  # all other fields may be secret, even the URLs


class SessionClosedError(NatsError):
    """The connection is closed; dial again."""


class NoResponderError(NatsError):
    """Nobody listens on the subject of a request; nothing was done."""


class Session:
    """An open connection. A request that the server denies fails at once, with the server's message."""

    def __init__(self, client: Client, inbox_prefix: str, api_prefix: str = JETSTREAM_API) -> None:
        self.api_prefix = api_prefix  # of the JetStream API that has the bucket
        self.source = ""  # the address of this host that the connection is bound to; empty: unknown
        self.peer = ""  # the server's address; empty: unknown
        self._client = client
        self._inbox = f"{inbox_prefix}.{random_token()}"
        self._waiting: dict[str, Answers] = {}  # by the subject of the answers
        self._closed = asyncio.Event()
        self._end_reason = ""  # why this side ended the session; empty: it did not
        self._subscribed: dict[str, str] = {}  # subjects, by themselves in lower case
        self._denials = Denials()
        self._dropped = RepeatFilter()

    @property
    def server(self) -> str:
        """The server's URL, without credentials."""
        url = self._client.connected_url
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}" if url else ""

    @property
    def domain(self) -> str:
        """The JetStream domain of the connected server; empty: it has none."""
        return str(self._client._server_info.get("domain", ""))  # noqa: SLF001 - nats-py does not show it

    @property
    def supports_batch_get(self) -> bool:
        """Whether the server supports Direct Get of many messages: nats-server 2.11 and later."""
        version = self._client.connected_server_version
        try:
            return (version.major, version.minor) >= (2, 11)
        except ValueError:  # not a version
            return False

    @property
    def client(self) -> Client:
        """The nats-py client, for functions that this class does not provide."""
        return self._client

    async def closed(self) -> None:
        """Wait until the connection is closed, then raise SessionClosedError."""
        await self._closed.wait()
        raise self._closed_error()

    async def listen_to_answers(self) -> None:
        """Subscribe to the answers of all later requests; must be called before the first."""
        await self.subscribe(f"{self._inbox}.*", self._on_answer)

    async def subscribe(self, subject: str, callback: Listener) -> None:
        """Pass every message on `subject` to `callback`. The subscription is active at the server when this returns.

        Errors that `callback` raises are logged, and the message is dropped.

        Raises NatsDeniedError if the server denies the subscription, SessionClosedError if the connection is closed.
        """

        def call_safely(message: Received) -> None:
            try:
                callback(message)
            except Exception as error:  # noqa: BLE001 - anyone may have sent the message
                self._log_dropped(subject, error)

        try:
            with preserve_cancellation():
                await self._client.listen(subject, call_safely)
                for _ in range(2):  # nats-py sends the first PING before the buffered SUB, the second after it
                    await self._client.flush(timeout=int(REQUEST_TIMEOUT_S))
        except (NatsPyError, OSError, TimeoutError) as error:
            raise SessionClosedError(f"could not subscribe to {subject}: {error}") from None
        self._denials.refuse("subscription to", subject)
        self._subscribed[subject.lower()] = subject

    async def unsubscribe(self, subject: str) -> None:
        """End a subscription; messages that are on their way are dropped. Does nothing if the connection is closed."""
        self._subscribed.pop(subject.lower(), None)
        with preserve_cancellation(), suppress(NatsPyError, OSError):
            await self._client.ignore(subject)

    def _log_dropped(self, subject: str, error: Exception) -> None:
        """Log that a message was dropped; any number of them make one line a minute for each type of error."""
        if count := self._dropped.due(f"{subject} {type(error).__name__}", time.monotonic()):
            log.warning("dropped messages on NATS", subject=subject, count=count, error=described(error)[:300])

    async def request(self, subject: str, payload: bytes = b"", headers: Mapping[str, str] | None = None) -> Received:
        """Send a request and return its answer.

        Raises NoAnswerError, NatsDeniedError, SessionClosedError and NoResponderError.
        """
        (answer,) = await self.request_until(lambda _: True, subject, payload, headers)
        if answer.status == NO_RESPONDERS:
            hint = no_responder_hint(self.api_prefix, self.domain)
            raise NoResponderError(f"no responder on {subject}", hint=hint)
        return answer

    async def request_until(
        self,
        is_last: Callable[[Received], bool],
        subject: str,
        payload: bytes = b"",
        headers: Mapping[str, str] | None = None,
        limit: AnswerLimit = ONE_ANSWER,
    ) -> list[Received]:
        """Send a request and return its answers, up to and including the first for which `is_last` is true.

        The time limit applies to each answer. Raises as `request`, and NatsError for more answers than `limit`, and for
        a message that the server would not take.
        """
        reply = f"{self._inbox}.{random_token()}"
        waiting = self._waiting[reply] = Answers(subject, limit)
        answers: list[Received] = []
        try:
            await self._publish(subject, payload, reply, headers)
            while not answers or not is_last(answers[-1]):
                answers.append(await waiting.next())
        finally:
            del self._waiting[reply]
        return answers

    async def publish(self, subject: str, payload: bytes) -> None:
        """Send a message that has no answer. Raises as `request`; a denial is raised by the next call."""
        self.refuse_denied(subject)
        await self._publish(subject, payload, "", None)

    def refuse_denied(self, subject: str) -> None:
        """Raise NatsDeniedError if the server has denied a message on this subject."""
        self._denials.refuse("publication to", subject)

    async def _publish(self, subject: str, payload: bytes, reply: str, headers: Mapping[str, str] | None) -> None:
        if self._closed.is_set():
            raise self._closed_error()
        if (size := len(payload) + header_size(headers or {})) > self._client.max_payload:
            limit = self._client.max_payload
            raise NatsError(
                f"a message to {subject} has {size} bytes, more than the {limit} of max_payload on the server",
                hint="raise max_payload of nats-server; the default is 1048576",
            )
        try:
            with preserve_cancellation():
                await self._client.publish(subject, payload, reply=reply, headers=dict(headers) if headers else None)
        except (NatsPyError, OSError) as error:
            raise SessionClosedError(f"could not send to {subject}: {error}") from None

    def _on_answer(self, message: Received) -> None:
        """Pass a message to the request that waits for it."""
        if waiting := self._waiting.get(message.subject):
            waiting.add(message)

    async def on_error(self, error: Exception) -> None:
        """Handle an error that nats-py reports asynchronously: a denial ends the requests that it refers to.

        The denial of an active subscription, after a change of permissions, closes the session: the server does not
        restore the subscription when the permission is granted again.
        """
        text = str(error).lower()
        log.debug("nats client error", error=text)
        if DENIED not in text:
            return
        self._denials.add(text)
        for waiting in self._waiting.values():
            if f'"{waiting.subject.lower()}"' in text:
                waiting.end(denied_error("publication to", waiting.subject))
        revoked = next((subject for lower, subject in self._subscribed.items() if f'"{lower}"' in text), None)
        if revoked and OF_SUBSCRIPTION in text:
            self._end_reason = self._end_reason or str(denied_error("subscription to", revoked))
            await self._client.close()

    async def on_closed(self) -> None:
        """End all pending requests; called by nats-py, once."""
        self.end()

    def end(self, reason: str = "") -> None:
        """End the session and all pending requests; the caller that dialled it closes the connection."""
        self._end_reason = self._end_reason or reason
        self._closed.set()
        for waiting in self._waiting.values():
            waiting.end(self._closed_error())

    def _closed_error(self) -> SessionClosedError:
        reason = self._end_reason or str(self._client.last_error or "").removeprefix("nats: ").strip("'").lower()
        return SessionClosedError(f"the connection to NATS was closed{': ' if reason else ''}{reason}")
