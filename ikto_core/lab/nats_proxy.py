"""A TCP proxy between agents and a nats-server that reads the protocol: a network that fails on demand."""

import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import BinaryIO, NamedTuple, Self
from urllib.parse import urlsplit

WITH_PAYLOAD = {b"MSG", b"HMSG", b"PUB", b"HPUB"}


class Frame(NamedTuple):
    """One operation of the NATS protocol, whole."""

    outbound: bool  # from the agent to the server
    head: bytes  # its line, with the end of line
    payload: bytes = b""  # headers, data and an end of line

    @property
    def verb(self) -> bytes:
        """What it does, such as PUB."""
        return self.head.split(maxsplit=1)[0].upper() if self.head.strip() else b""

    @property
    def subject(self) -> bytes:
        """What a message is about; empty if it is none."""
        return self.head.split()[1] if self.verb in WITH_PAYLOAD else b""


def read_frame(stream: BinaryIO, *, outbound: bool) -> Frame | None:
    """Read the next operation; None at the end of the stream. OSError if the stream breaks off."""
    frame = Frame(outbound, stream.readline())
    if frame.verb in WITH_PAYLOAD:
        size = int(frame.head.split()[-1]) + 2
        frame = frame._replace(payload=stream.read(size))
    return frame if frame.head else None


class NatsProxy:
    """One way to one server, which may be frozen, cut, or thinned out.

    `admit` is called with each operation before it is passed on; False drops it. It may be replaced at any time.
    """

    def __init__(self, server_url: str) -> None:
        server = urlsplit(server_url)
        self.admit: Callable[[Frame], bool] = lambda _: True
        self._server = (server.hostname, server.port)
        self._open = Event()
        self._cut = False
        self._ended = False
        self._lock = Lock()
        self._links: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"nats://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open.set()

    def __enter__(self) -> Self:
        """Begin to accept connections."""
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End every connection and the proxy."""
        self._ended = True
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    # -- what the network does -------------------------------------------------------------------------------------

    def freeze(self) -> None:
        """Pass nothing on, and say nothing: the cable is out. What is under way arrives after `heal`."""
        self._open.clear()

    def cut(self) -> None:
        """Reset every connection, and each new one: somebody's firewall."""
        self._cut = True
        self._open.set()
        self.reset()

    def reset(self) -> None:
        """Reset every connection once."""
        with self._lock:
            for link in self._links:
                with suppress(OSError):
                    link.shutdown(socket.SHUT_RDWR)

    def heal(self) -> None:
        """Be a good network again."""
        self._cut = False
        self._open.set()

    # -- passing on ------------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ended:
                client, _ = self._listener.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.wait()
        with client, suppress(OSError):
            if self._cut:
                return
            with socket.create_connection(self._server) as server:
                with self._lock:
                    self._links |= {client, server}
                back = Thread(target=self._pump, args=(server, client, False), daemon=True)
                back.start()
                self._pump(client, server, True)
                back.join()
                with self._lock:
                    self._links -= {client, server}

    def _pump(self, source: socket.socket, sink: socket.socket, outbound: bool) -> None:
        with suppress(OSError), source.makefile("rb") as stream:
            while frame := read_frame(stream, outbound=outbound):
                self._open.wait()
                if self.admit(frame):
                    sink.sendall(frame.head + frame.payload)
        for one in (source, sink):  # who is left hears of the end
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
