"""Requests to an agent that is missing or broken, or to another program, fail with a clear one-line error."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ikto_core.admin import trusted_socket
from ikto_core.client import AdminClient
from ikto_core.errors import IktoError
from ikto_core.lab.unprivileged import as_nobody


@contextmanager
def answering(path: Path, answer: bytes | None) -> Iterator[None]:
    """Answer one client with these bytes; None: never answer."""
    done = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer_one() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                if answer is None:
                    done.wait(30)
                else:
                    client.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def status_error(path: Path, timeout_s: float = 5) -> IktoError:
    with pytest.raises(IktoError) as caught:
        AdminClient(path, timeout_s=timeout_s).status()
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("what", ["nothing", "stale socket", "no socket", "no directory"])
def test_without_an_agent_the_hint_says_how_to_start_one(path: Path, what: str) -> None:
    match what:
        case "stale socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        case "no socket":
            path.touch()
        case "no directory":
            path.touch()
            path /= "ikto.sock"
    error = status_error(path)
    assert (str(error), error.hint) == (f"no agent answers on {path}", f"ikto agent -c FILE -s {path}")


def test_without_permission_the_hint_says_which_user_to_run_as(path: Path, directory: Path) -> None:
    directory.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o600)
        with as_nobody():
            error = status_error(path)
    assert (str(error), error.hint) == (f"{path}: permission denied", "run as the agent's user, or as root")


def test_an_agent_that_does_not_answer_times_out(path: Path) -> None:
    with answering(path, None):
        error = status_error(path, timeout_s=0.1)
    assert str(error) == f"the agent on {path} did not answer within 0.1 s"


def test_an_agent_that_does_not_accept_times_out(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(str(path))
        listener.listen(0)
        other.connect(str(path))
        assert "did not answer" in str(status_error(path, timeout_s=0.1))


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-%x\r\n{}" % 2**70,
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n",
    ],
)
def test_an_answer_that_is_not_an_agents_is_an_error(path: Path, answer: bytes) -> None:
    with answering(path, answer):
        assert str(status_error(path)).startswith(f"the answer on {path} is not from an agent of this version: ")


def test_an_agent_that_ends_the_connection_was_stopping(path: Path) -> None:
    with answering(path, b""):
        error = status_error(path)
    assert str(error) == f"the agent on {path} closed the connection before it had answered"
    assert error.hint.startswith("ask again")


def endless(*parts: bytes) -> Iterator[bytes]:
    yield parts[0]
    while True:
        yield parts[-1]


@contextmanager
def answering_with(path: Path, parts: Iterator[bytes], pause_s: float = 0) -> Iterator[None]:
    """Answer one client with parts until it has gone."""
    gone = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer_one() -> None:
            client, _ = listener.accept()
            with client, suppress(ConnectionError):
                client.recv(65536)
                while not gone.wait(pause_s):
                    client.sendall(next(parts))

        thread = threading.Thread(target=answer_one)
        thread.start()
        try:
            yield
        finally:
            gone.set()
            thread.join()


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000\r\n\r\n", b"x" * 65536),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_endless_answer_is_an_error_at_a_bound(
    path: Path, parts: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_socket, "MAX_ANSWER_BYTES", 2**20)
    with answering_with(path, endless(*parts)):
        error = status_error(path, timeout_s=60)
    assert str(error) == f"the answer on {path} has more than 1 MiB"


@pytest.mark.parametrize(
    "parts",
    [
        (b"HTTP/1.1 200 OK\r\n", b"header: x\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"trailer: x\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1"),
    ],
)
def test_an_endless_header_is_an_error_at_a_lower_bound(path: Path, parts: tuple[bytes, bytes]) -> None:
    with answering_with(path, endless(*parts)):
        error = status_error(path, timeout_s=60)
    assert str(error) == f"the answer on {path} is not from an agent of this version: Receive buffer too long"


def test_an_answer_that_trickles_ends_with_the_time_for_a_request(path: Path) -> None:
    with answering_with(path, endless(b"HTTP/1.1 200 OK\r\n\r\n", b"x"), pause_s=0.01):
        error = status_error(path, timeout_s=0.3)
    assert str(error) == f"the agent on {path} did not answer within 0.3 s"


def test_an_answer_that_is_nested_too_deeply_is_not_an_agents(path: Path) -> None:
    body = b'{"x":' + b"[" * 100_000
    with answering(path, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)):
        assert "is not from an agent of this version" in str(status_error(path))


def test_an_agents_error_is_raised(path: Path) -> None:
    body = b'{"error": "a plugin\'s bug"}'
    with answering(path, b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)):
        assert str(status_error(path)) == f"the agent on {path}: a plugin's bug"


def test_a_path_too_long_for_a_socket_is_an_error(directory: Path) -> None:
    assert "too long" in str(status_error(directory / ("x" * 200)))


@pytest.mark.parametrize("module", ["ikto_core.cli.info", "ikto_core.cli.status"])
def test_the_client_imports_no_server_no_nats_and_no_netlink(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"aiohttp", "nats", "pyroute2", "nacl", "prometheus_client", "pluggy", "structlog", "rich", "asyncio"}
    assert set(done.stdout.split()) & heavy == set()
