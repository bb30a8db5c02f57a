"""Serves HTTP/1.1 on sockets that listen. h11 reads and writes the protocol; this bounds what clients can take.

A client can take a number of connections, and each for a time; it can keep neither other clients nor the agent waiting.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import h11
import structlog

from ikto_core.admin.conversation import READ_BYTES, Conversation
from ikto_core.admin.views import ErrorView
from ikto_core.admin.web import Answer, Check, HttpError, Request, Routes, answer_of, json_answer

MAX_CONNECTIONS = 32
"""With one more, the oldest is cut: a client that leaves its connections open shuts nobody out."""

MAX_CONNECTION_S = 60.0
"""How long a connection may last, whatever its client does: slow requests, slow reading, or nothing at all."""

LAST_ANSWER_AFTER_S = MAX_CONNECTION_S / 2
"""An answer after that says that it is the last one: who asks again and again is cut in the middle of none."""

log = structlog.get_logger(__name__)


class HttpServer:
    """Answers requests. `close` ends its connections.

    Args:
        routes: The handlers by path and method.
        check: Refuses requests, as of `answer_of`.
        shutdown_timeout_s: How long requests that are being answered may take at the end.

    """

    def __init__(self, routes: Routes, check: Check, *, shutdown_timeout_s: float) -> None:
        self._routes = routes
        self._check = check
        self._shutdown_timeout_s = shutdown_timeout_s
        self._connections: dict[_Connection, None] = {}  # in the order of their beginning
        self.closing = False

    @asynccontextmanager
    async def accepting(self, listener: socket.socket) -> AsyncIterator[None]:
        """Accept connections on a socket that listens, while the context lasts. Its connections go on after it."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listener.family is socket.AF_UNIX else loop.create_server
        server = await create(self._accept, sock=listener)
        try:
            yield
        finally:
            server.close()

    async def close(self) -> None:
        """End every connection; those that wait for an answer get it if it takes no longer than the limit."""
        self.closing = True
        for connection in [each for each in self._connections if not each.is_answering]:
            connection.cut()
        if tasks := [each.task for each in self._connections if each.task]:
            await asyncio.wait(tasks, timeout=self._shutdown_timeout_s)
            for connection in list(self._connections):
                connection.cut()
            await asyncio.wait(tasks)

    async def answer(self, request: Request) -> Answer:
        """Return the answer to a request."""
        return await answer_of(self._routes, request, self._check)

    def _accept(self) -> asyncio.Protocol:
        return _Connection(self, self._connections)


class _Connection(asyncio.StreamReaderProtocol):
    """One connection, which is in `open_ones` from its beginning to its end. asyncio starts the task that serves it."""

    def __init__(self, server: HttpServer, open_ones: dict["_Connection", None]) -> None:
        super().__init__(asyncio.StreamReader(limit=READ_BYTES), self._begin)
        self._server = server
        self._open_ones = open_ones
        self._stream: asyncio.BaseTransport | None = None
        self._end: asyncio.TimerHandle | None = None
        self._last_answer_at = 0.0
        self._is_cut = False
        self.task: asyncio.Task[None] | None = None
        self.is_answering = False

    def cut(self) -> None:
        """End it now, without waiting for the client to read what was sent."""
        self._is_cut = True
        self._open_ones.pop(self, None)
        if isinstance(self._stream, asyncio.Transport):
            self._stream.abort()
        if self.task:
            self.task.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to serve it, in place of the oldest if there are too many.

        asyncio accepts a hundred before the first of them gets here: those count from here on, where they can be cut.
        """
        if len(self._open_ones) >= MAX_CONNECTIONS:
            next(iter(self._open_ones)).cut()
        self._open_ones[self] = None
        self._stream = transport
        loop = asyncio.get_running_loop()
        self._end = loop.call_later(MAX_CONNECTION_S, self.cut)
        self._last_answer_at = loop.time() + LAST_ANSWER_AFTER_S
        super().connection_made(transport)

    def eof_received(self) -> bool:
        """Close it: a client that sends no more is taken for gone."""
        super().eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it, and end what is done for it."""
        super().connection_lost(exc)
        if self._end:
            self._end.cancel()
        self.cut()

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.task = asyncio.current_task()
        try:
            with suppress(ConnectionError):
                await self._serve(Conversation(reader, writer))
        except asyncio.CancelledError:
            if not self._is_cut:  # else this ends here: asyncio of Python 3.11 logs a traceback for a cancelled one
                raise
        except Exception:
            log.exception("admin request failed")
        finally:
            writer.close()

    async def _serve(self, conversation: Conversation) -> None:
        """Answer one request after another."""
        goes_on = True
        while goes_on and not self._server.closing:
            try:
                request = await conversation.request()
            except (h11.RemoteProtocolError, HttpError) as error:
                log.warning("admin request refused", error=" ".join(str(error).split())[:300])
                status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else error.status
                await conversation.send(json_answer(ErrorView(error=str(error)), status=status), is_last=True)
                return
            if request is None:
                return
            self.is_answering = True
            answer = await self._server.answer(request)
            is_last = asyncio.get_running_loop().time() >= self._last_answer_at or self._server.closing
            await conversation.send(answer, is_last=is_last)
            self.is_answering = False
            goes_on = conversation.next()
