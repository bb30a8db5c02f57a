"""Requests to an agent's socket without Ikto's client, as another program makes them."""

import socket
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple


class Answer(NamedTuple):
    """What came back."""

    status: int
    kind: str  # the content type, without parameters
    body: str


def request(path: Path, method: str, target: str) -> Answer:
    """Make one request on the unix socket."""
    connection = HTTPConnection("localhost")
    with socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(60)
        connection.sock.connect(str(path))
        connection.request(method, target, headers={"Connection": "close"})
        with connection.getresponse() as answer:
            return Answer(answer.status, answer.headers.get_content_type(), answer.read().decode())


def get(path: Path, target: str) -> str:
    """Return the body of an answer that is no error."""
    answer = request(path, "GET", target)
    assert answer.status == 200, answer
    return answer.body
