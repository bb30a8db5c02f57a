"""The socket's path belongs to one living agent; everything else that may be there is one clear error."""

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

HOLDER = """
import socket, sys
from pathlib import Path
from ikto_core.admin.listener import bound
from ikto_core.errors import IktoError
print("up", flush=True)
sys.stdin.readline()
with socket.socket(socket.AF_UNIX) as listener:
    try:
        with bound(listener, Path(sys.argv[1])):
            print("listens", flush=True)
            sys.stdin.readline()
    except IktoError as error:
        print(error, flush=True)
"""


class Holder:
    """Another process that has the path, or is refused, from `go` on."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.hear() == "up"

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def hear(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()


@contextmanager
def holders(path: Path, number: int = 1) -> Iterator[list[Holder]]:
    found: list[Holder] = []
    try:
        found.extend(Holder(path) for _ in range(number))
        yield found
    finally:
        for holder in found:
            holder.process.kill()
            holder.process.communicate()


@contextmanager
def held(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener, bound(listener, path):
        yield listener


def refused(path: Path) -> IktoError:
    with pytest.raises(IktoError) as caught, held(path):
        pass
    assert caught.value.exit_code == 1
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def left_behind(path: Path) -> None:
    """Make a socket that nobody listens on, as a killed agent leaves it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


def test_who_listens_answers_and_leaves_nothing_behind(path: Path) -> None:
    with held(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    assert list(path.parent.iterdir()) == []


def test_there_is_no_moment_in_which_others_may_connect(path: Path) -> None:
    modes: set[int] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                modes.add(stat.S_IMODE(path.stat().st_mode))
            except FileNotFoundError:
                continue

    before = os.umask(0)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for _ in range(300):
            with held(path):
                modes.add(stat.S_IMODE(path.stat().st_mode))
    finally:
        over.set()
        watcher.join()
        assert os.umask(before) == 0
    assert modes == {0o600}


def test_a_path_in_use_is_refused_with_the_process_that_has_it(path: Path) -> None:
    with holders(path) as (holder,):
        holder.go()
        assert holder.hear() == "listens"
        error = refused(path)
        assert str(error) == f"{path}: in use by another agent, process {holder.process.pid}"
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_an_agent_that_is_too_busy_to_accept_is_alive(path: Path) -> None:
    with held(path) as listener:
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert "in use by another agent" in str(refused(path))


def test_what_a_killed_agent_left_is_taken_over(path: Path) -> None:
    with holders(path) as (holder,):
        holder.go()
        assert holder.hear() == "listens"
        holder.process.send_signal(signal.SIGKILL)
        holder.process.wait()
    assert path.is_socket()
    with held(path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("kind", ["file", "directory", "symlink to a socket", "dangling symlink"])
def test_what_is_no_socket_is_never_touched(path: Path, kind: str) -> None:
    target = path.with_name("target")
    match kind:
        case "file":
            path.write_text("precious")
        case "directory":
            path.mkdir()
        case "symlink to a socket":
            left_behind(target)
            path.symlink_to(target)
        case _:
            path.symlink_to(target)
    before = path.lstat()
    assert str(refused(path)) == f"{path}: exists and is not a socket"
    assert path.lstat() == before
    assert target.exists() == (kind == "symlink to a socket")


def test_a_missing_directory_is_an_error_with_a_remedy(directory: Path) -> None:
    path = directory / "missing" / "ikto.sock"
    error = refused(path)
    assert str(error) == f"{path}: there is no directory {path.parent}"
    assert error.hint == f"create it: mkdir -p {path.parent}"


def test_a_directory_that_is_a_file_is_an_error(directory: Path) -> None:
    (directory / "file").touch()
    assert str(refused(directory / "file" / "ikto.sock")).endswith("file is not a directory")


def test_the_longest_path_works_and_a_longer_one_is_an_error(directory: Path) -> None:
    longest = directory / ("x" * (107 - len(str(directory)) - 1))
    with held(longest):
        pass
    longer = longest.with_name(longest.name + "x")
    assert str(refused(longer)) == f"{longer}: a unix socket's path has 107 bytes at most"


@pytest.mark.parametrize("what", ["new", "somebody else's"])
def test_a_path_that_we_may_not_have_is_an_error(directory: Path, path: Path, what: str) -> None:
    directory.chmod(0o1777 if what != "new" else 0o755)
    if what != "new":
        left_behind(path)
    with as_nobody():
        assert str(refused(path)) == f"{path}: permission denied"
    assert path.exists() == (what != "new")


def test_a_lock_that_somebody_keeps_does_not_block_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener_module, "LOCK_TIMEOUT_S", 0.1)
    with listener_module._locked(path.parent):
        assert "another process holds a lock" in str(refused(path))


def test_a_path_that_is_not_ours_any_more_stays(path: Path) -> None:
    with held(path):
        path.unlink()
        left_behind(path)
    assert path.is_socket()


def test_a_path_that_went_is_no_trouble_at_the_end(path: Path) -> None:
    with held(path):
        path.unlink()


def test_of_agents_that_start_at_one_moment_one_wins(path: Path) -> None:
    for _ in range(3):
        left_behind(path)
        with holders(path, 4) as contenders:
            for contender in contenders:
                contender.go()
            answers = [contender.hear() for contender in contenders]
            winner = contenders[answers.index("listens")].process.pid
            assert sorted(answers) == [*[f"{path}: in use by another agent, process {winner}"] * 3, "listens"]
        path.unlink()
