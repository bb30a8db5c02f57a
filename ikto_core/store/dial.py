"""Dials one address of a server: connects, logs in, and returns a session."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from ikto_core.store.addresses import Target
from ikto_core.store.cancelling import preserve_cancellation
from ikto_core.store.client import Client
from ikto_core.store.login import Login, prepare_login
from ikto_core.store.login_failure import login_failure
from ikto_core.store.session import NatsSettings, Session

DIAL_TIMEOUT_S = 10.0
"""Time limit for one address: TCP, TLS and login. nats-py may hang on an untrusted certificate; this ends it."""

TCP_TIMEOUT_S = 3.0
"""Time limit for the TCP connection to an address, if others are left to dial: a lost SYN is repeated after 1 s."""

CLOSE_TIMEOUT_S = 2.0
PING_INTERVAL_S = 10
"""The session ends after two unanswered pings: 20 to 30 s without an answer."""


@asynccontextmanager
async def dial(settings: NatsSettings, target: Target) -> AsyncIterator[Session]:
    """Connect to one address of a server and log in; the connection is closed on leaving.

    Raises:
        NatsDeniedError: The server refused the login.
        NatsError: The server can't be reached within DIAL_TIMEOUT_S, or is not trusted.
        LoginFileError: A file for the login can't be used.

    """
    login = prepare_login(settings, target.server, target.address)
    tcp_timeout_s = None if target.is_last else TCP_TIMEOUT_S
    client = Client(needs_tls=login.needs_tls, address=target.address, tcp_timeout_s=tcp_timeout_s)
    session = Session(client, settings.inbox, settings.api_prefix)
    try:
        with preserve_cancellation():
            await _connect(session, client, login, settings)
        session.source, session.peer = client.source(), client.peer()
        await session.listen_to_answers()
        yield session
    finally:
        try:
            with preserve_cancellation(), suppress(Exception):
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await client.close()
        finally:
            client.close_socket()


async def _connect(session: Session, client: Client, login: Login, settings: NatsSettings) -> None:
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
        attempt = replace(
            login.attempt,
            wants_certificate=client.wants_certificate,
            was_accepted=client.was_accepted,
            had_info=client.had_info,
            spoke_plainly=client.spoke_plainly,
            refusal=client.refusal(),
        )
        raise login_failure(attempt, cause, time.time()) from None
