"""Asking an agent that is not there, or is none, is one clear line."""

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
    """Answer one caller with these bytes; None: never."""
    over = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def answer_one() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                if answer is None:
                    over.wait(30)
                else:
                    client.sendall(answer)

        thread = threading.Thread(target=answer_one)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def refused(path: Path, timeout_s: float = 5) -> IktoError:
    with pytest.raises(IktoError) as caught:
        AdminClient(path, timeout_s=timeout_s).status()
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("what", ["nothing", "nobody listens", "no socket", "no directory"])
def test_no_agent_is_told_with_how_to_start_one(path: Path, what: str) -> None:
    match what:
        case "nobody listens":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        case "no socket":
            path.touch()
        case "no directory":
            path.touch()
            path /= "ikto.sock"
    error = refused(path)
    assert (str(error), error.hint) == (f"no agent answers on {path}", f"ikto agent -c FILE -s {path}")


def test_another_users_agent_is_told_with_what_to_do(path: Path, directory: Path) -> None:
    directory.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o600)
        with as_nobody():
            error = refused(path)
    assert (str(error), error.hint) == (f"{path}: permission denied", "run as the agent's user, or as root")


def test_an_agent_that_hangs_is_not_waited_for_long(path: Path) -> None:
    with answering(path, None):
        error = refused(path, timeout_s=0.1)
    assert str(error) == f"the agent on {path} did not answer within 0.1 s"


def test_an_agent_that_accepts_nobody_is_not_waited_for_long(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as other:
        listener.bind(str(path))
        listener.listen(0)
        other.connect(str(path))
        assert "did not answer" in str(refused(path, timeout_s=0.1))


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
def test_what_is_no_agent_of_this_version_is_told_so(path: Path, answer: bytes) -> None:
    with answering(path, answer):
        assert str(refused(path)).startswith(f"what answers on {path} is no agent of this version: ")


def test_an_agents_error_is_told(path: Path) -> None:
    body = b'{"error": "a plugin\'s bug"}'
    with answering(path, b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)):
        assert str(refused(path)) == f"the agent on {path}: a plugin's bug"


def test_a_path_that_no_socket_can_have_is_told(directory: Path) -> None:
    assert "too long" in str(refused(directory / ("x" * 200)))


@pytest.mark.parametrize("module", ["ikto_core.cli.info", "ikto_core.cli.status"])
def test_asking_imports_no_server_no_nats_and_no_netlink(module: str) -> None:
    program = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"aiohttp", "nats", "pyroute2", "nacl", "prometheus_client", "pluggy", "structlog", "rich", "asyncio"}
    assert set(done.stdout.split()) & heavy == set()
