"""From settings to a session: connect to one server and log in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.aio.client import Client
from nats.errors import Error as NatsPyError
from nats.errors import SecureConnWantedError

from ikto_core.store.cancelling import cancellation_kept
from ikto_core.store.login import Login, login_failure, prepare_login
from ikto_core.store.session import NatsSettings, Session

DIAL_TIMEOUT_S = 10.0
"""For one server: TCP, TLS and login. nats-py may hang on a certificate that it does not trust; this ends it."""

CLOSE_TIMEOUT_S = 2.0
PING_INTERVAL_S = 10
"""Two pings unanswered: the session is over after 20 to 30 s of silence."""


@asynccontextmanager
async def dial(settings: NatsSettings, server: str) -> AsyncIterator[Session]:
    """Connect to one server and log in; the connection is closed on leaving.

    Raises:
        NatsDeniedError: The server does not want us.
        NatsError: It can't be reached in DIAL_TIMEOUT_S, or not be trusted.
        LoginFileError: A file that the login needs can't be used.

    """
    login = prepare_login(settings, server)
    client = _Client(needs_tls=login.needs_tls)
    inbox = f"{settings.inbox}.{client._nuid.next().decode()}"  # noqa: SLF001 - new_inbox() knows no prefix yet
    session = Session(client, inbox)
    try:
        with cancellation_kept():
            await _connect(session, client, login, settings)
        await session.subscribe(f"{inbox}.*", session.answered)
        yield session
    finally:
        with cancellation_kept(), suppress(Exception):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await client.close()


class _Client(Client):
    """nats-py's client, made to log in over TLS or not at all where TLS is asked for.

    By itself it takes a server's word: a `tls://` server, or somebody in between, that says "no TLS" gets the password
    in the clear.
    """

    def __init__(self, *, needs_tls: bool) -> None:
        super().__init__()
        self.wants_certificate = False  # whether the server wants one of its clients
        self._needs_tls = needs_tls

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        self.wants_certificate = bool(info.get("tls_verify"))
        if initial_connection and self._needs_tls:
            over_ws = self._current_server and self._current_server.uri.scheme == "ws"  # never upgraded by nats-py
            if over_ws or not (info.get("tls_required") or info.get("tls_available")):
                raise SecureConnWantedError
            info["tls_required"] = True  # by us
        await super()._process_info(info, initial_connection)

    async def _read_loop(self) -> None:
        """Read until the connection ends, and see to it that it has ended then.

        By itself nats-py stops reading at a subject or a header that is not UTF-8, which any client may send, and says
        that it is connected until two pings have gone unanswered.
        """
        await super()._read_loop()
        if self.is_connected:
            await self._process_op_err(NatsPyError("a message could not be read"))


async def _connect(session: Session, client: _Client, login: Login, settings: NatsSettings) -> None:
    seen: list[Exception] = []

    async def on_error(error: Exception) -> None:
        seen.append(error)
        await session.on_error(error)

    try:
        async with asyncio.timeout(DIAL_TIMEOUT_S):
            await client.connect(
                [login.server],
                error_cb=on_error,
                closed_cb=session.on_closed,
                name=settings.name,
                inbox_prefix=settings.inbox,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=int(DIAL_TIMEOUT_S) + 1,  # our own limit comes first
                ping_interval=PING_INTERVAL_S,
                pending_size=0,
                **login.options,
            )
        if not client.is_connected:  # nats-py takes an end of file for a welcome
            raise ConnectionResetError("it hung up")
    except Exception as error:  # noqa: BLE001 - on nonsense at the port nats-py raises whatever it stumbles over
        cause = seen[-1] if seen else error
        raise login_failure(login, cause, wants_certificate=client.wants_certificate) from None
