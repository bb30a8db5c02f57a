"""A TCP proxy between agents and a nats-server that parses the protocol and injects network faults."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import BinaryIO, NamedTuple, Self
from urllib.parse import urlsplit

WITH_PAYLOAD = {b"MSG", b"HMSG", b"PUB", b"HPUB"}


class Frame(NamedTuple):
    """One complete operation of the NATS protocol."""

    outbound: bool  # from the agent to the server
    head: bytes  # the control line, with its line end
    payload: bytes = b""  # headers, data and a line end

    @property
    def verb(self) -> bytes:
        """The operation's name, such as PUB; empty for an empty line."""
        return self.head.split(maxsplit=1)[0].upper() if self.head.strip() else b""

    @property
    def subject(self) -> bytes:
        """The subject of a message; empty if the operation is not a message."""
        return self.head.split()[1] if self.verb in WITH_PAYLOAD else b""


def read_frame(stream: BinaryIO, *, outbound: bool) -> Frame | None:
    """Return the next operation; None at the end of the stream. Raises OSError if the connection breaks."""
    frame = Frame(outbound, stream.readline())
    if frame.verb in WITH_PAYLOAD:
        size = int(frame.head.split()[-1]) + 2
        frame = frame._replace(payload=stream.read(size))
    return frame if frame.head else None


class NatsProxy:
    """A proxy for one server, whose traffic can be frozen, cut or filtered.

    `admit` is called with each operation before it is forwarded; False drops it. It may be replaced at any time.
    """

    def __init__(self, server_url: str) -> None:
        server = urlsplit(server_url)
        self.admit: Callable[[Frame], bool] = lambda _: True
        self._server = (server.hostname, server.port)
        self._open = Event()
        self._cut = False
        self._closed = False
        self._lock = Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open.set()

    def __enter__(self) -> Self:
        """Start accepting connections."""
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and the proxy."""
        self._closed = True
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    # -- faults ----------------------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Forward nothing, and keep connections open, like an unplugged cable. Data in transit arrives after `heal`."""
        self._open.clear()

    def cut(self) -> None:
        """Reset every connection, now and until `heal`, like a firewall."""
        self._cut = True
        self._open.set()
        self.reset()

    def reset(self) -> None:
        """Reset every open connection once."""
        with self._lock:
            for one in self._sockets:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Forward everything again."""
        self._cut = False
        self._open.set()

    # -- forwarding -----------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._closed:
                client, _ = self._listener.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.wait()
        with client, suppress(OSError):
            if self._cut:
                return
            with socket.create_connection(self._server) as server:
                with self._lock:
                    self._sockets |= {client, server}
                back = Thread(target=self._pump, args=(server, client, False), daemon=True)
                back.start()
                self._pump(client, server, True)
                back.join()
                with self._lock:
                    self._sockets -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, outbound: bool) -> None:
        with suppress(OSError), source.makefile("rb") as stream:
            while frame := read_frame(stream, outbound=outbound):
                self._open.wait()
                if self.admit(frame):
                    sink.sendall(frame.head + frame.payload)
        for one in (source, sink):  # close both directions, so that both ends notice
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
