"""Dials one server: connects, logs in, and returns a session."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsPyError
from nats.errors import SecureConnWantedError

from ikto_core.store.cancelling import preserve_cancellation
from ikto_core.store.login import Login, login_failure, prepare_login
from ikto_core.store.session import NatsSettings, Session

DIAL_TIMEOUT_S = 10.0
"""Time limit for one server: TCP, TLS and login. nats-py may hang on an untrusted certificate; this ends it."""

CLOSE_TIMEOUT_S = 2.0
PING_INTERVAL_S = 10
"""The session ends after two unanswered pings: 20 to 30 s without an answer."""


@asynccontextmanager
async def dial(settings: NatsSettings, server: str) -> AsyncIterator[Session]:
    """Connect to one server and log in; the connection is closed on leaving.

    Raises:
        NatsDeniedError: The server refused the login.
        NatsError: The server can't be reached within DIAL_TIMEOUT_S, or is not trusted.
        LoginFileError: A file for the login can't be used.

    """
    login = prepare_login(settings, server)
    client = _Client(needs_tls=login.needs_tls)
    inbox = f"{settings.inbox}.{client._nuid.next().decode()}"  # noqa: SLF001 - new_inbox() has no prefix before connecting
    session = Session(client, inbox, settings.api_prefix)
    try:
        with preserve_cancellation():
            await _connect(session, client, login, settings)
        session.source = client.source()
        await session.subscribe(f"{inbox}.*", session.on_reply)
        yield session
    finally:
        try:
            with preserve_cancellation(), suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await client.close()
        finally:
            client.close_socket()


class _Client(Client):
    """nats-py's client, changed to log in only over TLS where TLS is required.

    Without this change a server, or a man in the middle, that offers no TLS gets the password in clear text, even for a
    `tls://` URL.
    """

    def __init__(self, *, needs_tls: bool) -> None:
        super().__init__()
        self.wants_certificate = False  # whether the server requires client certificates
        self._needs_tls = needs_tls

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        self.wants_certificate = bool(info.get("tls_verify"))
        if initial_connection and self._needs_tls:
            over_ws = self._current_server and self._current_server.uri.scheme == "ws"  # nats-py never upgrades ws
            if over_ws or not (info.get("tls_required") or info.get("tls_available")):
                raise SecureConnWantedError
            info["tls_required"] = True  # required by this client
        await super()._process_info(info, initial_connection)

    def close_socket(self) -> None:
        """Close the TCP connection: nats-py leaves it open if its own `close` is cancelled."""
        if isinstance(self._transport, TcpTransport):
            self._transport.close()  # type: ignore[no-untyped-call]  # nats-py types it partly

    def source(self) -> str:
        """Return the local address of the TCP connection; empty if it is unknown, as over a WebSocket."""
        writer = self._transport._bare_io_writer if isinstance(self._transport, TcpTransport) else None  # noqa: SLF001
        return str(writer.get_extra_info("sockname", ("",))[0]) if writer else ""

    async def _read_loop(self) -> None:
        """Read until the connection ends; close the connection if reading ends first.

        nats-py stops reading at a subject or header that is not UTF-8, which any client may send, and stays "connected"
        until two pings are unanswered.
        """
        await super()._read_loop()
        if self.is_connected:
            await self._process_op_err(NatsPyError("a message could not be read"))


async def _connect(session: Session, client: _Client, login: Login, settings: NatsSettings) -> None:
    errors: list[Exception] = []

    async def on_error(error: Exception) -> None:
        errors.append(error)
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
                connect_timeout=int(DIAL_TIMEOUT_S) + 1,  # DIAL_TIMEOUT_S is shorter
                ping_interval=PING_INTERVAL_S,
                pending_size=0,
                **login.options,
            )
        if not client.is_connected:  # nats-py reports no error at an end of file during the login
            raise ConnectionResetError("the server closed the connection")
    except Exception as error:  # noqa: BLE001 - on malformed input nats-py raises errors of any type
        cause = errors[-1] if errors else error
        raise login_failure(login, cause, wants_certificate=client.wants_certificate) from None
