"""A NATS server that answers a bucket's requests with whatever bytes a test wants."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from ikto_core.store.session import NatsSettings

INFO: dict[str, Any] = {"server_id": "x", "version": "2.11.0", "proto": 1, "headers": True, "max_payload": 2**20}
STREAM = {
    "created": "2026-01-01T00:00:00Z",
    "config": {"allow_direct": True, "republish": {"src": "$KV.b.>", "dest": "ikto.b.>"}},
    "state": {"last_seq": 5, "first_seq": 1, "num_subjects": 1},
}
END_OF_BATCH = b"NATS/1.0 204 EOB\r\nNats-Num-Pending: %d\r\n\r\n"

Answer = tuple[bytes | None, bytes]
"""Header block (None: a message without one) and payload."""

Answers = Callable[[str], Iterable[Answer]]
"""Returns the answers to a request on a subject; they may be endless."""


def message(revision: int, payload: bytes = b"value", key: str = "peers.x") -> Answer:
    """Return a message of a page."""
    return b"NATS/1.0\r\nNats-Subject: $KV.b.%s\r\nNats-Sequence: %d\r\n\r\n" % (key.encode(), revision), payload


def json_answer(value: object) -> Answer:
    """Return an answer of the JetStream API."""
    return None, json.dumps(value).encode()


@asynccontextmanager
async def hostile_server(
    answers: Answers, info: object = INFO, greeting: Iterable[bytes] = ()
) -> AsyncIterator[NatsSettings]:
    """Run a server on a free port; yields how to connect to it.

    Args:
        answers: The answers to each request.
        info: What INFO contains.
        greeting: What is sent, piece by piece, at the first subscription.

    """
    made = _Server(answers, info, greeting)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, family=socket.AF_INET)
    try:
        yield NatsSettings(servers=(f"nats://127.0.0.1:{server.sockets[0].getsockname()[1]}",))
    finally:
        server.close()
        await made.end()


class _Server:
    def __init__(self, answers: Answers, info: object, greeting: Iterable[bytes]) -> None:
        self._answers = answers
        self._info = info
        self._greeting = iter(greeting)
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def end(self) -> None:
        """Close all connections."""
        for writer in self._connections.values():
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(list(self._connections))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it closes the connection."""
        if task := asyncio.current_task():
            self._connections[task] = writer
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"INFO %s\r\n" % json.dumps(self._info).encode())
            while line := await reader.readline():
                verb, *arguments = line.split()
                if verb == b"PING":
                    writer.write(b"PONG\r\n")
                elif verb == b"SUB":
                    await self._send(writer, self._greeting)
                elif verb in (b"PUB", b"HPUB"):
                    await reader.readexactly(int(arguments[-1]) + 2)
                    await self._send(writer, self._replies(arguments[0].decode(), arguments[1]))
        writer.close()

    def _replies(self, subject: str, reply: bytes) -> Iterator[bytes]:
        for header_block, payload in self._answers(subject):
            if header_block is None:
                yield b"MSG %s 1 %d\r\n%s\r\n" % (reply, len(payload), payload)
            else:
                sizes = len(header_block), len(header_block) + len(payload)
                yield b"HMSG %s 1 %d %d\r\n%s%s\r\n" % (reply, *sizes, header_block, payload)

    async def _send(self, writer: asyncio.StreamWriter, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)  # the client is in this event loop too
