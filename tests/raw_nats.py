"""Publishes raw bytes to a nats-server, such as no client library sends."""

import json
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from types import MappingProxyType

from ikto_core.lab.nats_server import NatsServer

READER_KILLERS = {
    "a subject that is not UTF-8": b"PUB %s.\xff\xfe 1\r\nx\r\n",
    "a vertical tab in a subject": b"PUB %s.\x0bx 1\r\nx\r\n",
    "a reply subject that is not UTF-8": b"PUB %s.a \xff\xfe 1\r\nx\r\n",
    "headers without a line": b"HPUB %s.a 8 9\r\nNATS/1.0x\r\n",
    "a status that is not UTF-8": b"HPUB %s.a 14 15\r\nNATS/1.0 \xff\r\n\r\nx\r\n",
}
"""By name, with `%s` for the subject. nats-py 2.16 stops reading on each, and still reports that it is connected."""


Login = Mapping[str, str]
"""Further members of CONNECT, such as `user` and `pass`."""


def publish_raw(
    server: NatsServer, operations: bytes, login: Login | Callable[[str], Login] = MappingProxyType({})
) -> None:
    """Send operations of the NATS protocol; the server has processed them when this returns.

    Args:
        server: Listens on 127.0.0.1.
        operations: With their line ends.
        login: How to log in; a function gets the server's nonce, or an empty text.

    """
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with closing(connection), connection.makefile("rb") as answers:
        if callable(login):
            login = login(json.loads(answers.readline().removeprefix(b"INFO ")).get("nonce", ""))
        connect = json.dumps({"verbose": False, "headers": True, **login}).encode()
        connection.sendall(b"CONNECT " + connect + b"\r\n" + operations + b"PING\r\n")
        for line in answers:
            if line == b"PONG\r\n":
                return
            assert line.startswith(b"INFO"), line
    raise AssertionError("the server closed the connection")
