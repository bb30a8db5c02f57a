"""Publishing what no client library would: bytes straight to a nats-server."""

import json
import socket
from collections.abc import Mapping
from contextlib import closing
from types import MappingProxyType

from ikto_core.lab.nats_server import NatsServer

READER_KILLERS = {
    "a subject that is not UTF-8": b"PUB %s.\xff\xfe 1\r\nx\r\n",
    "a reply subject that is not UTF-8": b"PUB %s.a \xff\xfe 1\r\nx\r\n",
    "headers without a line": b"HPUB %s.a 8 9\r\nNATS/1.0x\r\n",
    "a status that is not UTF-8": b"HPUB %s.a 14 15\r\nNATS/1.0 \xff\r\n\r\nx\r\n",
}
"""On each of these, sent below a subject that it listens on, nats-py 2.16 stops reading and says it is connected."""


def publish_raw(server: NatsServer, operations: bytes, login: Mapping[str, str] = MappingProxyType({})) -> None:
    """Send operations of the NATS protocol; they have been carried out when this returns.

    Args:
        server: Where to send them.
        operations: With their line ends.
        login: More members of the CONNECT, `user` and `pass`.

    """
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=10)) as connection:
        connect = json.dumps({"verbose": False, "headers": True, **login}).encode()
        connection.sendall(b"CONNECT " + connect + b"\r\n" + operations + b"PING\r\n")
        with connection.makefile("rb") as answers:
            for line in answers:
                if line == b"PONG\r\n":
                    return
                assert line.startswith(b"INFO"), line
    raise AssertionError("the server hung up")
