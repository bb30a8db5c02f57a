"""HTTP as clients speak it: curl, Prometheus, old ones, slow ones, and such that break it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path

import pytest

from ikto_core.admin import connections
from ikto_core.admin.connections import MAX_CONNECTION_S, MAX_CONNECTIONS, HttpServer
from ikto_core.admin.conversation import MAX_HEAD_BYTES
from ikto_core.admin.web import Answer, Request, Write, get, json_answer

BIG = b"x" * 3_000_000


async def echo(request: Request) -> Answer:
    return json_answer({"path": request.path, "query": request.query, "host": request.host})


async def big(_: Request) -> Answer:
    return Answer(BIG)


async def parts(_: Request) -> Answer:
    async def stream(write: Write) -> None:
        for part in (b"one\n", b"two\n"):
            await write(part)

    return Answer(stream=stream)


async def broken(_: Request) -> Answer:
    async def stream(write: Write) -> None:
        await write(b"one\n")
        raise RuntimeError("boo")

    return Answer(stream=stream)


class Hanging:
    """A handler that never returns, unless it is cancelled."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def __call__(self, _: Request) -> Answer:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError


def nothing(_: Request) -> None:
    """Refuse nothing."""


@asynccontextmanager
async def serving(path: Path, hanging: Hanging | None = None) -> AsyncIterator[HttpServer]:
    routes = {"/echo": get(echo), "/big": get(big), "/parts": {"GET": parts}, "/broken": {"GET": broken}}
    routes["/change"] = {"POST": echo}
    routes |= {"/hang": get(hanging)} if hanging else {}
    server = HttpServer(routes, nothing, shutdown_timeout_s=0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as listener:
        listener.bind(str(path))
        listener.listen()
        async with server.accepting(listener):
            yield server
        await server.close()


@pytest.fixture
async def server(path: Path) -> AsyncIterator[HttpServer]:
    async with asyncio.timeout(60), serving(path) as server:
        yield server


def connected(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(60)
    client.connect(str(path))
    return client


async def sent(path: Path, *pieces: bytes) -> bytes:
    """Send pieces, each after the answer to the one before has begun; return all until the server closes."""

    def talk() -> bytes:
        with connected(path) as client:
            answer = b""
            for piece in pieces:
                client.sendall(piece)
                answer += client.recv(2**16)
            with suppress(ConnectionResetError):  # not all that was sent has been read
                while data := client.recv(2**16):
                    answer += data
            return answer

    return await asyncio.to_thread(talk)


def lines(answer: bytes) -> list[bytes]:
    return answer.split(b"\r\n")


GET_ECHO = b"GET /echo?a=1&a=2&b=&c=%C3%A4 HTTP/1.1\r\nHost: h\r\n"
CLOSE = b"Connection: close\r\n\r\n"


@pytest.mark.usefixtures("server")
async def test_a_connection_serves_one_request_after_another(path: Path) -> None:
    def ask() -> list[int]:
        connection = HTTPConnection("localhost")
        with connected(path) as connection.sock:
            sizes = []
            for method, target in (("GET", "/big"), ("HEAD", "/big"), ("POST", "/change"), ("GET", "/echo")):
                connection.request(method, target)
                sizes.append(len(connection.getresponse().read()))
            return sizes

    first, head, *others = await asyncio.to_thread(ask)
    assert (first, head) == (len(BIG), 0)
    assert all(others)


@pytest.mark.usefixtures("server")
async def test_two_requests_in_one_piece_are_answered_in_their_order(path: Path) -> None:
    answer = await sent(path, GET_ECHO + b"\r\n" + b"GET /none HTTP/1.1\r\nHost: h\r\n" + CLOSE)
    assert [line[:12] for line in lines(answer) if line.startswith(b"HTTP/")] == [b"HTTP/1.1 200"]
    assert answer.count(b"HTTP/1.1 404 Not Found") == 1
    assert answer.index(b"HTTP/1.1 200") < answer.index(b"HTTP/1.1 404")


@pytest.mark.usefixtures("server")
async def test_a_query_is_decoded_and_the_first_of_a_name_counts(path: Path) -> None:
    answer = await sent(path, GET_ECHO + CLOSE)
    assert json.loads(lines(answer)[-1]) == {"path": "/echo", "query": {"a": "1", "b": "", "c": "ä"}, "host": "h"}


@pytest.mark.usefixtures("server")
async def test_a_target_may_be_a_whole_url_and_percent_encoded(path: Path) -> None:
    answer = await sent(path, b"GET http://h/%65cho HTTP/1.1\r\nHost: h\r\n" + CLOSE)
    assert b'"path":"/echo"' in answer


@pytest.mark.usefixtures("server")
async def test_a_stream_comes_in_chunks_to_a_new_client_and_until_the_end_to_an_old_one(path: Path) -> None:
    new = await sent(path, b"GET /parts HTTP/1.1\r\nHost: h\r\n" + CLOSE)
    assert new.endswith(b"\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")
    assert (await sent(path, b"GET /parts HTTP/1.0\r\n\r\n")).endswith(b"\r\n\r\none\ntwo\n")


@pytest.mark.usefixtures("server")
async def test_a_body_that_is_complete_is_passed_over(path: Path) -> None:
    post = b"POST /change HTTP/1.1\r\nHost: h\r\n"
    for body in (b"Content-Length: 4\r\n\r\nbody", b"Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"):
        answer = await sent(path, post + body + GET_ECHO + CLOSE)
        assert answer.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.usefixtures("server")
async def test_a_client_that_asks_before_its_body_is_answered_and_not_waited_for(path: Path) -> None:
    head = b"POST /change HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    assert (await sent(path, head)).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("garbage", "status"),
    [
        (b"GET /echo HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"\x00" * 100 + b"\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400),
        (b"GET /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"GET http://[/ HTTP/1.1\r\nHost: h\r\n\r\n", 400),
        (b"GET /" + b"x" * 2 * MAX_HEAD_BYTES, 431),
        (b"GET /echo HTTP/9.9\r\nHost: h\r\n\r\n", 505),
    ],
)
async def test_what_is_no_request_gets_an_error_and_the_end(path: Path, garbage: bytes, status: int) -> None:
    answer = await sent(path, garbage)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert b'\r\n\r\n{"error":"' in answer


@pytest.mark.usefixtures("server")
async def test_a_stream_that_fails_ends_its_connection_only(path: Path) -> None:
    answer = await sent(path, b"GET /broken HTTP/1.1\r\nHost: h\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n4\r\none\n\r\n"), "without the end of the chunks: it is not complete"
    assert b"200 OK" in await sent(path, GET_ECHO + CLOSE)


async def test_what_is_done_for_a_client_ends_when_it_has_gone_and_nothing_is_logged(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hanging = Hanging()
    async with asyncio.timeout(MAX_CONNECTION_S / 2), serving(path, hanging):
        client = connected(path)
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n")
        await hanging.begun.wait()
        client.close()
        await hanging.ended.wait()
        assert b"200 OK" in await sent(path, GET_ECHO + CLOSE)
    assert not caplog.records


async def test_connections_that_come_at_once_are_bounded_too(path: Path) -> None:
    async with asyncio.timeout(MAX_CONNECTION_S / 2), serving(path):
        with ExitStack() as stack:
            clients = [stack.enter_context(connected(path)) for _ in range(2 * MAX_CONNECTIONS)]
            for client in clients:
                client.setblocking(False)
            loop = asyncio.get_running_loop()
            for client in clients[:-MAX_CONNECTIONS]:
                assert await loop.sock_recv(client, 1) == b"", "the oldest are cut"
            for client in clients[-MAX_CONNECTIONS:]:
                await loop.sock_sendall(client, GET_ECHO + CLOSE)
                assert await loop.sock_recv(client, 12) == b"HTTP/1.1 200"


@pytest.mark.usefixtures("server")
async def test_a_connection_that_ends_soon_says_so_with_its_last_answer(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prometheus asks on one connection every 15 seconds: a request at the end of its time would be cut."""
    assert b"200 OK" in await sent(path, GET_ECHO + b"\r\n", GET_ECHO + CLOSE), "a young one goes on"
    monkeypatch.setattr(connections, "LAST_ANSWER_AFTER_S", 0.0)
    assert b"\r\nConnection: close\r\n" in await sent(path, GET_ECHO + b"\r\n")


@pytest.mark.usefixtures("server")
async def test_what_is_no_request_after_a_head_gets_an_error_with_its_text(path: Path) -> None:
    answer = await sent(path, b"HEAD /echo HTTP/1.1\r\nHost: h\r\n\r\n", b"\x00\r\n\r\n")
    assert b"HTTP/1.1 400 " in answer
    assert b'\r\n\r\n{"error":"' in answer


async def test_a_request_that_hangs_is_ended_with_the_server(path: Path) -> None:
    hanging = Hanging()
    async with asyncio.timeout(60):
        async with serving(path, hanging):
            with connected(path) as client:
                client.sendall(b"GET /hang HTTP/1.1\r\nHost: h\r\n\r\n")
                await hanging.begun.wait()
        assert hanging.ended.is_set()
