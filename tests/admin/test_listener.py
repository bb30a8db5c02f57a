"""The socket's path belongs to one running agent; anything else at the path is a clear one-line error."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ikto_core.admin import listener as listener_module
from ikto_core.admin.listener import bound
from ikto_core.errors import IktoError
from ikto_core.lab.unprivileged import as_nobody

PROGRAM = """
import socket, sys
from pathlib import Path
from ikto_core.admin.listener import bound
from ikto_core.errors import IktoError
print("started", flush=True)
sys.stdin.readline()
with socket.socket(socket.AF_UNIX) as listener:
    try:
        with bound(listener, Path(sys.argv[1])):
            print("listens", flush=True)
            sys.stdin.readline()
    except IktoError as error:
        print(error, flush=True)
"""


class OtherAgent:
    """Another process that listens on the path, or is refused, after `go`."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.read_line() == "started"

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def read_line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def other_agents(path: Path, number: int = 1) -> Iterator[list[OtherAgent]]:
    started: list[OtherAgent] = []
    try:
        started.extend(OtherAgent(path) for _ in range(number))
        yield started
    finally:
        for agent in started:
            agent.process.kill()
            agent.process.communicate()


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener, bound(listener, path):
        yield listener


def listen_error(path: Path) -> IktoError:
    with pytest.raises(IktoError) as caught, listening(path):
        pass
    assert caught.value.exit_code == 1
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def make_stale_socket(path: Path) -> None:
    """Make a socket on which no process listens, as a killed agent leaves it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def test_the_listener_accepts_connections_and_removes_its_path(path: Path) -> None:
    with listening(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert list(path.parent.iterdir()) == []


def test_the_socket_never_has_another_mode_than_0600(path: Path) -> None:
    modes: set[int] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            try:
                modes.add(stat.S_IMODE(path.stat().st_mode))
            except FileNotFoundError:
                continue

    before = os.umask(0)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(300):
            with listening(path):
                modes.add(stat.S_IMODE(path.stat().st_mode))
    finally:
        done.set()
        watcher.join()
        assert os.umask(before) == 0
    assert modes == {0o600}


def test_a_path_in_use_is_an_error_that_names_the_process(path: Path) -> None:
    with other_agents(path) as (other,):
        other.go()
        assert other.read_line() == "listens"
        error = listen_error(path)
        assert str(error) == f"{path}: in use by another agent, process {other.process.pid}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_an_agent_with_a_full_backlog_is_in_use(path: Path) -> None:
    with listening(path) as listener:
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert "in use by another agent" in str(listen_error(path))


def test_the_socket_of_a_killed_agent_is_replaced(path: Path) -> None:
    with other_agents(path) as (other,):
        other.go()
        assert other.read_line() == "listens"
        other.process.send_signal(signal.SIGKILL)
        other.process.wait()
    assert path.is_socket()
    with listening(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("kind", ["file", "directory", "symlink to a socket", "dangling symlink"])
def test_a_file_that_is_not_a_socket_is_never_changed(path: Path, kind: str) -> None:
    target = path.with_name("target")
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "symlink to a socket":
            make_stale_socket(target)
            path.symlink_to(target)
        case _:
            path.symlink_to(target)
    before = path.lstat()
    assert str(listen_error(path)) == f"{path}: exists and is not a socket"
    assert path.lstat() == before
    assert target.exists() == (kind == "symlink to a socket")


def test_a_missing_directory_is_an_error_with_a_hint(directory: Path) -> None:
    path = directory / "missing" / "ikto.sock"
    error = listen_error(path)
    assert str(error) == f"{path}: there is no directory {path.parent}"
    assert error.hint == f"create it: mkdir -p {path.parent}"


def test_a_directory_that_is_a_file_is_an_error(directory: Path) -> None:
    (directory / "file").touch()
    assert str(listen_error(directory / "file" / "ikto.sock")).endswith("file is not a directory")


def test_the_longest_path_works_and_a_longer_one_is_an_error(directory: Path) -> None:
    longest = directory / ("x" * (107 - len(str(directory)) - 1))
    with listening(longest):
        pass
    longer = longest.with_name(longest.name + "x")
    assert str(listen_error(longer)) == f"{longer}: too long, the path of a unix socket has at most 107 bytes"


def test_a_path_without_permission_is_an_error(directory: Path, path: Path) -> None:
    directory.chmod(0o755)
    with as_nobody():
        assert str(listen_error(path)) == f"{path}: permission denied"
    assert not path.exists()


def test_an_agent_that_never_finishes_to_start_does_not_block_others_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener_module, "LOCK_TIMEOUT_S", 0.1)
    with listener_module._locked(path):
        assert f"{path}: in use by another agent, process {os.getpid()}" in str(listen_error(path))


def test_a_path_that_was_replaced_meanwhile_is_not_removed(path: Path) -> None:
    with listening(path):
        path.unlink()
        make_stale_socket(path)
    assert path.is_socket()


def test_a_path_that_was_removed_meanwhile_is_not_an_error(path: Path) -> None:
    with listening(path):
        path.unlink()


@pytest.mark.slow
def test_of_agents_that_start_together_exactly_one_listens(path: Path) -> None:
    for _ in range(3):
        make_stale_socket(path)
        with other_agents(path, 4) as contenders:
            for contender in contenders:
                contender.go()
            answers = [contender.read_line() for contender in contenders]
            winner = contenders[answers.index("listens")].process.pid
            assert sorted(answers) == [*[f"{path}: in use by another agent, process {winner}"] * 3, "listens"]
        path.unlink()
