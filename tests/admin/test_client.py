"""Requests to an agent that is missing or broken, or to another program, fail with a clear one-line error."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

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
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xff",
        b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n{",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n",
    ],
)
def test_an_answer_that_is_not_an_agents_is_an_error(path: Path, answer: bytes) -> None:
    with answering(path, answer):
        assert str(status_error(path)).startswith(f"the answer on {path} is not from an agent of this version: ")


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
