"""Permissions that are revoked during a session."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from ikto_core.errors import NatsDeniedError
from ikto_core.lab.nats_server import running_server
from ikto_core.store.connection import open_session
from ikto_core.store.session import NatsSettings, SessionClosedError

ALLOWED = 'authorization { users: [ { user: u, password: p, permissions: { subscribe: [">"] } } ] }'
REVOKED = ALLOWED.replace('[">"]', '{ deny: ["Ikto.>"] }')


async def test_a_session_ends_when_a_subscription_permission_is_revoked(tmp_path: Path) -> None:
    """The server does not restore the subscription when the permission is granted again."""
    with running_server(tmp_path, ALLOWED) as server:
        settings = NatsSettings(servers=(server.url,), user="u", password="p")
        async with open_session(settings, Random()) as session:
            await session.subscribe("Ikto.b.>", lambda _: None)
            server.config = REVOKED
            server.reload()
            with pytest.raises(SessionClosedError, match=r'denied this user the subscription to "Ikto\.b\.>"'):
                async with asyncio.timeout(60):
                    await session.closed()
        async with open_session(settings, Random()) as session:
            with pytest.raises(NatsDeniedError, match="subscription"):
                await session.subscribe("Ikto.b.>", lambda _: None)
