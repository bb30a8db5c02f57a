"""The requests and the answers of one connection, as HTTP/1.1: h11 reads and writes the protocol."""

import asyncio
from email.utils import formatdate
from http import HTTPStatus

import h11

from ikto_core.admin.web import Answer, HttpError, Request, parse_request

MAX_HEAD_BYTES = 16384
"""The longest request line with its headers."""

READ_BYTES = 65536


class Conversation:
    """Reads one request after another, and sends the answer to each before it reads the next."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._is_head = False  # whether the request that was read last has the method HEAD

    async def request(self) -> Request | None:
        """Return the next request, whose body is not read; None: there is no other.

        Raises h11.RemoteProtocolError or HttpError for what is no request.
        """
        self._is_head = False
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(READ_BYTES)
            if not data:
                return None
            self._http.receive_data(data)
        if not isinstance(event, h11.Request):
            return None
        self._is_head = event.method == b"HEAD"
        if event.http_version not in (b"1.0", b"1.1"):
            raise HttpError(505)
        host = dict(event.headers).get(b"host", b"").decode("latin-1")
        client = self._writer.get_extra_info("socket")
        return parse_request(event.method.decode(), event.target.decode(), host, client)

    async def send(self, answer: Answer, *, is_last: bool = False) -> None:
        """Send an answer. Raises ConnectionError if the client is gone."""
        headers = [("Content-Type", answer.kind), ("Date", formatdate(usegmt=True)), *answer.headers]
        if not answer.stream:
            headers.append(("Content-Length", str(len(answer.body))))
        if is_last:
            headers.append(("Connection", "close"))
        reason = HTTPStatus(answer.status).phrase
        await self._write(h11.Response(status_code=answer.status, headers=headers, reason=reason))
        if answer.stream:
            await answer.stream(self._write_part)
        elif not self._is_head:
            await self._write_part(answer.body)
        await self._write(h11.EndOfMessage())

    def next(self) -> bool:
        """Return whether another request can follow.

        None can while the body of the last one has not arrived: a client that is slow, or gone, is not waited for.
        """
        try:
            while self._http.their_state is h11.SEND_BODY and self._http.next_event() is not h11.NEED_DATA:
                pass
        except h11.RemoteProtocolError:
            return False
        if self._http.states != {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            return False
        self._http.start_next_cycle()
        return True

    async def _write_part(self, part: bytes) -> None:
        await self._write(h11.Data(data=part))

    async def _write(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)
            await self._writer.drain()
