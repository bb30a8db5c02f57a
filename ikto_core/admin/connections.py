"""Bounds what clients of the admin socket can take: the number of connections, and how long each lasts."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

MAX_CONNECTIONS = 32
"""With one more, the oldest is cut: a client that leaves its connections open shuts nobody out."""

MAX_CONNECTION_S = 60.0
"""How long a connection may last, whatever its client does: slow requests, slow reading, or nothing at all."""


@asynccontextmanager
async def accepting(runner: web.AppRunner, listener: socket.socket) -> AsyncIterator[None]:
    """Accept connections on a socket that listens, while the context lasts. The runner is set up."""
    make = runner.server
    assert make  # noqa: S101 - it is, once the runner is set up
    connections: dict[_Connection, None] = {}  # in the order of their beginning

    def accept() -> asyncio.Protocol:
        if len(connections) >= MAX_CONNECTIONS:
            next(iter(connections)).cut()
        connection = _Connection(make, connections.pop)
        connections[connection] = None
        return connection

    loop = asyncio.get_running_loop()
    create = loop.create_unix_server if listener.family is socket.AF_UNIX else loop.create_server
    server = await create(accept, sock=listener)
    try:
        yield
    finally:
        server.close()


class _Connection(asyncio.Protocol):
    """One connection, which aiohttp serves, with an end. `lost` is called once, when it has ended."""

    def __init__(self, make: Callable[[], Any], lost: Callable[..., object]) -> None:
        self._handler = make()  # aiohttp's protocol
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._end: asyncio.TimerHandle | None = None

    def cut(self) -> None:
        """End it now, without waiting for the client to read what was sent."""
        self._lost(self, None)
        if self._transport:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - of a stream socket
        self._transport = transport
        self._end = asyncio.get_running_loop().call_later(MAX_CONNECTION_S, self.cut)
        self._handler.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        if self._end:
            self._end.cancel()
        self._lost(self, None)
        self._handler.connection_lost(error)

    def data_received(self, data: bytes) -> None:
        """Give aiohttp what has arrived."""
        self._handler.data_received(data)

    def eof_received(self) -> bool | None:
        """Tell aiohttp that the client sends no more."""
        more: bool | None = self._handler.eof_received()
        return more

    def pause_writing(self) -> None:
        """Tell aiohttp that the client reads too slowly."""
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Tell aiohttp that the client reads again."""
        self._handler.resume_writing()
