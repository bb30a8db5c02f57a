"""A lock belongs to one process, ends with it, and is out of reach for other users."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.disk.lock_file import locked
from ikto_core.errors import IktoError
from ikto_core.lab.unprivileged import as_nobody
from tests.other_user import needs_root

HOLD = """
import subprocess, sys
from pathlib import Path
from ikto_core.disk.lock_file import locked
with locked(Path(sys.argv[1]), "it"):
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, flush=True)
    sys.stdin.readline()
    child.kill()
"""
COUNT = """
import sys
from pathlib import Path
from ikto_core.disk.lock_file import locked
counter = Path(sys.argv[2])
for _ in range(40):
    with locked(Path(sys.argv[1]), "it", wait_s=60):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@contextmanager
def holder(path: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Another process that holds the lock, and the id of a program that it has started."""
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        try:
            yield process, child
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


def test_a_second_process_is_refused_and_told_who_holds_the_lock(path: Path) -> None:
    with holder(path) as (process, _), pytest.raises(IktoError) as caught, locked(path, "it", hint="stop it"):
        pass
    assert (str(caught.value), caught.value.hint) == (f"it: in use by another agent, process {process.pid}", "stop it")
    assert caught.value.exit_code == 1


def test_a_second_lock_in_one_process_is_refused_too(path: Path) -> None:
    with locked(path, "it"), pytest.raises(IktoError, match=f"process {os.getpid()}$"), locked(path, "it"):
        pass


def test_a_killed_process_keeps_no_lock_even_if_what_it_started_runs_on(path: Path) -> None:
    with holder(path) as (process, child):
        process.kill()
        process.wait()
        os.kill(child, 0)
        with locked(path, "it"):
            pass


def test_a_process_that_was_forked_keeps_no_lock(path: Path) -> None:
    reader, writer = os.pipe()
    with locked(path, "it"):
        child = os.fork()
        if not child:
            os.close(writer)
            os.read(reader, 1)  # until the parent is done
            os._exit(0)
    try:
        with locked(path, "it"):
            pass
    finally:
        os.close(writer)
        os.close(reader)
        os.waitpid(child, 0)


def test_the_file_is_private_while_it_is_held_and_removed_afterwards(path: Path) -> None:
    with locked(path, "it"):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text() == str(os.getpid())
    assert not path.exists()


def test_a_file_of_a_killed_process_is_no_obstacle(path: Path) -> None:
    path.write_text("1")
    path.chmod(0o600)
    with locked(path, "it"):
        assert path.read_text() == str(os.getpid())


def test_one_at_a_time_holds_it_though_its_file_comes_and_goes(path: Path, tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    command = [sys.executable, "-c", COUNT, str(path), str(counter)]
    processes = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(120) for process in processes] == [0] * 4
    assert counter.read_text() == "160"


@pytest.mark.parametrize("obstacle", ["open to others", "symlink", "no directory"])
def test_where_no_lock_can_be_had_the_block_runs_and_that_is_logged(path: Path, obstacle: str) -> None:
    match obstacle:
        case "open to others":
            path.touch()
            path.chmod(0o644)
        case "symlink":
            path.symlink_to("elsewhere")
        case _:
            path /= "x"
    with capture_logs() as logs, locked(path, "it"):
        ran = True
    assert ran
    assert [entry["event"] for entry in logs] == ["not locked: a second agent would not be noticed"]


@needs_root
def test_another_user_can_not_open_the_file_to_lock_it() -> None:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        path = Path(name) / "lock"
        with locked(path, "it"), as_nobody():
            assert path.exists()
            with pytest.raises(PermissionError):
                os.open(path, os.O_RDONLY)


@pytest.mark.parametrize(
    ("content", "owner"), [(b"7\nat /x", "process 7 (at /x)"), (b"7", "process 7"), (b"\xff" * 600, "")]
)
def test_what_the_lock_file_says_of_its_holder_is_in_the_message(path: Path, content: bytes, owner: str) -> None:
    with locked(path, "it"):
        path.write_bytes(content)
        with pytest.raises(IktoError) as caught, locked(path, "it"):
            pass
    assert str(caught.value) == ", ".join(filter(None, ("it: in use by another agent", owner)))
