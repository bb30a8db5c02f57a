"""Reads the NATS client protocol from any bytes; replaces nats-py's parser.

Any client may publish to what agents subscribe to. nats-server allows nearly every byte in a subject, and every byte in
a header block. nats-py's parser stops at some of them (it takes a vertical tab in a subject for a space), and does not
limit the size of a message. This one splits lines as the server joins them, and keeps a bounded part of each message.
"""

import json
from typing import Any

from nats.errors import Error as NatsPyError
from nats.protocol.parser import Parser as NatsPyParser

MAX_LINE_BYTES = 2**20
"""The longest line that is read. INFO is the longest of a real server; one that names 2000 servers has 64 KiB."""

MAX_HEADER_BYTES = 2**17
"""So many last bytes of a header block are kept; they have what the server wrote. Publishers can store 64 KiB."""

MAX_PAYLOAD_BYTES = 2**24
"""So many first bytes of a payload are kept. The leader's answer with a record of 8 MB fits."""

LINE_END = b"\r\n"


class Parser(NatsPyParser):
    """Passes each operation of the server to nats-py's client.

    Raises nats-py's Error for what no server sends. Nothing that another client publishes makes it raise.
    """

    def reset(self) -> None:
        """Forget incomplete input; nats-py calls it for each new connection."""
        self._unread = b""
        self._message: _IncompleteMessage | None = None

    async def parse(self, data: bytes = b"") -> None:
        """Read the next bytes of the connection."""
        data, at = self._unread + data, 0
        while at < len(data):
            if self._message is None:
                end = data.find(LINE_END, at)
                if end < 0:
                    break
                await self._read_line(data[at:end])
                at = end + len(LINE_END)
            else:
                at = self._message.take(data, at)
                await self._pass_on_if_complete()
        self._unread = data[at:]
        if len(self._unread) > MAX_LINE_BYTES:
            raise NatsPyError(f"the server sent a line of more than {MAX_LINE_BYTES} bytes")

    async def _pass_on_if_complete(self) -> None:
        message = self._message
        if message and not message.missing:
            self._message = None
            header_block, payload = bytes(message.header_block), bytes(message.payload)
            await self.nc._process_msg(message.sid, message.subject, message.reply, payload, header_block)  # noqa: SLF001

    async def _read_line(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        match verb.upper():
            case b"MSG" | b"HMSG":
                self._message = _IncompleteMessage(line)
            case b"PING":
                await self.nc._process_ping()  # noqa: SLF001
            case b"PONG":
                await self.nc._process_pong()  # noqa: SLF001
            case b"INFO":
                await self.nc._process_info(_read_info(rest))  # noqa: SLF001
            case b"-ERR":
                await self.nc._process_err(rest.decode(errors="backslashreplace").strip().lower())  # noqa: SLF001
            case b"+OK":
                pass
            case _:
                raise NatsPyError(f"the server sent an unknown operation: {verb[:20]!r}")


class _IncompleteMessage:
    """A message of which the line has arrived, and perhaps some of the bytes after it."""

    def __init__(self, line: bytes) -> None:
        """Read `MSG subject sid [reply] size` or `HMSG subject sid [reply] header-size size`.

        A single space separates the arguments; every other byte may be part of a subject.
        """
        verb, *arguments = line.split(b" ")
        sizes = 2 if len(verb) == len(b"HMSG") else 1
        if len(arguments) not in (2 + sizes, 3 + sizes):
            raise NatsPyError("the server sent a message line with a wrong number of arguments")
        size, header_size = _number(arguments[-1]), _number(arguments[-2]) if sizes == 2 else 0
        if header_size > size:
            raise NatsPyError("the server sent a header block that is larger than its message")
        self.subject, self.sid = arguments[0], _number(arguments[1])
        self.reply = arguments[2] if len(arguments) == 3 + sizes else b""
        self.header_block, self.payload = bytearray(), bytearray()  # the parts that are kept
        self._payload_size = size - header_size
        self.missing = size + len(LINE_END)

    def take(self, data: bytes, at: int) -> int:
        """Take the bytes of this message that begin at `at`; return the position after them."""
        header_missing = self.missing - self._payload_size - len(LINE_END)
        if header_missing > 0:
            taken = data[at : at + header_missing]
            self.header_block += taken
            del self.header_block[:-MAX_HEADER_BYTES]
        elif self.missing > len(LINE_END):
            taken = data[at : at + self.missing - len(LINE_END)]
            self.payload += taken[: MAX_PAYLOAD_BYTES - len(self.payload)]
        else:
            taken = data[at : at + self.missing]
        self.missing -= len(taken)
        return at + len(taken)


def _number(text: bytes) -> int:
    if not text.isdigit() or len(text) > 12:
        raise NatsPyError("the server sent a message line with a malformed number")
    return int(text)


def _read_info(text: bytes) -> dict[str, Any]:
    try:
        info = json.loads(text)
    except (ValueError, RecursionError):
        info = None
    if not isinstance(info, dict):
        raise NatsPyError("the server sent malformed INFO")
    return info
