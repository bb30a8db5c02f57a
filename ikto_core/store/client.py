"""nats-py's client, with all changes that Ikto makes to it.

1. Whatever other clients publish, it reads on (its own parser, and messages are passed on as they are).
2. Nothing that the server sends uses unlimited memory or writes a traceback to the log.
3. It logs in only over TLS where TLS is required, and only to the server that was dialled.
4. It dials the address that it is given, once; nats-py would give all addresses of a name a single limit.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from nats.aio.client import Client as NatsPyClient
from nats.aio.client import Srv
from nats.aio.transport import TcpTransport
from nats.errors import Error as NatsPyError
from nats.errors import SecureConnWantedError, UnexpectedEOF

from ikto_core.store.received import Received, escaped
from ikto_core.store.wire import Parser

READ_BYTES = 2**17

Listener = Callable[[Received], None]


class _Info(msgspec.Struct):
    """The members of INFO that nats-py uses, which it takes as they are."""

    version: str = ""
    max_payload: int = 0
    nonce: str = ""
    headers: bool = False
    auth_required: bool = False
    tls_required: bool = False
    tls_available: bool = False
    tls_verify: bool = False


class Client(NatsPyClient):
    """One connection to a server.

    Args:
        needs_tls: Send nothing before the connection is upgraded to TLS. Without this a server, or a man in the middle,
            that offers no TLS gets the password in clear text, even for a `tls://` URL.
        address: Dial this one; the server's certificate must still be for the host of the URL. Empty: that host.
        tcp_timeout_s: Time limit for the TCP connection.

    """

    def __init__(self, *, needs_tls: bool = False, address: str = "", tcp_timeout_s: float | None = None) -> None:
        super().__init__()
        self._address = address
        self._tcp_timeout_s = tcp_timeout_s
        self._ps = Parser(self)
        self._web_socket: asyncio.WriteTransport | None = None  # its TCP connection
        self.wants_certificate = False  # whether the server requires client certificates
        self._needs_tls = needs_tls
        self._listeners: dict[str, Listener] = {}  # by the subject of the subscription

    async def listen(self, subject: str, listener: Listener) -> None:
        """Subscribe, and call `listener` with each message as soon as it is read; it must not raise."""
        self._listeners[subject] = listener
        await self.subscribe(subject)

    async def ignore(self, subject: str) -> None:
        """End the subscription of `listen`."""
        self._listeners.pop(subject, None)
        for subscription in [each for each in self._subs.values() if each.subject == subject]:
            await subscription.unsubscribe()

    async def _select_next_server(self) -> None:
        """Connect to the only server, once: nats-py tries it twice."""
        self._current_server = self._server_pool[0]
        await self._connect_to_server(self._current_server)

    async def _connect_to_server(self, s: Srv) -> None:
        if s.uri.scheme in ("ws", "wss"):
            await super()._connect_to_server(s)
            transport: Any = self._transport
            if connection := transport._ws._response.connection:  # noqa: SLF001 - aiohttp forgets it at the close
                self._web_socket = connection.transport
            return
        tcp = self._transport = TcpTransport()  # type: ignore[no-untyped-call]  # nats-py types it partly
        address = s.uri._replace(netloc=f"[{self._address}]:{s.uri.port}") if self._address else s.uri
        async with asyncio.timeout(self._tcp_timeout_s):
            await tcp.connect(address, READ_BYTES, self.options["connect_timeout"])

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        """Pass on a message. nats-py would decode subject and headers first, and fail at bytes that are not UTF-8."""
        subscription = self._subs.get(sid)
        listener = self._listeners.get(subscription.subject) if subscription else None
        if listener:
            listener(Received(escaped(subject), data, headers))
        elif subscription:  # of nats-py's own functions, which agents do not use
            with suppress(LookupError, ValueError):
                await super()._process_msg(sid, subject, reply, data, headers)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        """Check that the server offers TLS if it is needed; ignore the other servers that it names."""
        checked = msgspec.convert(info, _Info)
        info.pop("connect_urls", None)
        self.wants_certificate = checked.tls_verify
        if initial_connection and self._needs_tls:
            over_ws = self._current_server and self._current_server.uri.scheme == "ws"  # nats-py never upgrades ws
            if over_ws or not (checked.tls_required or checked.tls_available):
                raise SecureConnWantedError
            info["tls_required"] = True  # required by this client
        for _ in range(2):  # let the loop read what came with INFO: after a failed write it reads nothing any more
            await asyncio.sleep(0)
        await super()._process_info(info, initial_connection)

    async def _read_loop(self) -> None:
        """Read until the connection ends, then close it.

        At an error that it does not expect, nats-py's loop logs a traceback and stays "connected" until two pings are
        unanswered.
        """
        failure: Exception = UnexpectedEOF()
        try:
            while self._transport and not self._transport.at_eof() and not self.is_closed:
                await self._ps.parse(await self._transport.read(READ_BYTES))
        except Exception as error:  # noqa: BLE001 - a server that sends nonsense causes errors of any type
            failure = error if isinstance(error, NatsPyError | OSError) else NatsPyError("the server sent nonsense")
        if not self.is_closed:
            await self._error_cb(failure)
            await self._process_op_err(failure)

    def close_socket(self) -> None:
        """End the TCP connection now: nats-py leaves it open if its own `close` is cancelled.

        Under TLS `close` waits for the server's end of it, for 30 s from one that hangs. aiohttp does not wait for it:
        the connection of a WebSocket would outlive the session.
        """
        if self._web_socket:
            self._web_socket.abort()
        if isinstance(self._transport, TcpTransport):
            for writer in (self._transport._io_writer, self._transport._bare_io_writer):  # noqa: SLF001
                if writer:
                    writer.transport.abort()

    @property
    def was_accepted(self) -> bool:
        """Whether there was a connection to the server."""
        return bool(self._transport)

    @property
    def had_info(self) -> bool:
        """Whether the server has sent its INFO."""
        return bool(self._server_info)

    def refusal(self) -> str:
        """Return the error message that the server sent before it closed the connection; empty: none has arrived.

        A server that is full sends it right after INFO and closes. nats-py sends CONNECT first, and fails at that.
        """
        error = self._unread().partition(b"-ERR ")[2].partition(b"\r\n")[0]
        return error.decode(errors="backslashreplace").strip(" '")[:200]

    @property
    def spoke_plainly(self) -> bool:
        """Whether the server sent something before TLS that was not read."""
        return self._unread(before_tls_only=True) != b""

    def _unread(self, *, before_tls_only: bool = False) -> bytes:
        """Return what has arrived before TLS, and in it, and was not read."""
        transport = self._transport
        if not isinstance(transport, TcpTransport):
            return b""
        readers = [transport._bare_io_reader] if before_tls_only else [transport._bare_io_reader, transport._io_reader]  # noqa: SLF001
        return b"".join(bytes(reader._buffer) for reader in readers if reader)  # type: ignore[attr-defined]  # noqa: SLF001

    def source(self) -> str:
        """Return the local address of the TCP connection; empty if it is unknown, as over a WebSocket."""
        return self._address_of("sockname")

    def peer(self) -> str:
        """Return the server's address of the TCP connection; empty if it is unknown."""
        return self._address_of("peername")

    def _address_of(self, end: str) -> str:
        writer = self._transport._bare_io_writer if isinstance(self._transport, TcpTransport) else None  # noqa: SLF001
        return str((writer.get_extra_info(end) or ("",))[0]) if writer else ""
