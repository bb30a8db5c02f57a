"""What another user does to a socket's path or its directory costs a log line, and no agent and no client."""

import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ikto_core.admin import listener as listener_module
from ikto_core.admin.listener import bound
from ikto_core.client import AdminClient
from ikto_core.errors import IktoError
from ikto_core.lab.unprivileged import as_nobody
from tests.other_user import NOBODY, needs_root

pytestmark = needs_root

KINDS = ["file", "directory", "symlink", "stale socket", "live socket"]


@pytest.fixture(autouse=True)
def _like_tmp(directory: Path) -> None:
    directory.chmod(0o1777)


@contextmanager
def squatted(path: Path, kind: str) -> Iterator[None]:
    """Put a file of another user at the path."""
    with socket.socket(socket.AF_UNIX) as listener:
        with as_nobody():
            match kind:
                case "file":
                    path.touch()
                case "directory":
                    path.mkdir()
                case "symlink":
                    path.symlink_to("/etc/passwd")
                case _:
                    listener.bind(str(path))
        if kind == "live socket":
            with as_nobody():
                listener.listen()
        else:
            listener.close()
        yield


@pytest.fixture
def fallback(directory: Path) -> Path:
    return directory / "fallback.sock"


@pytest.mark.parametrize("kind", KINDS)
def test_an_agent_leaves_another_users_file_alone_and_serves_the_fallback(
    path: Path, fallback: Path, kind: str
) -> None:
    with squatted(path, kind), socket.socket(socket.AF_UNIX) as listener:
        before = path.lstat()
        with capture_logs() as logs, bound(listener, path, fallback) as (used, _):
            assert used == fallback
            assert stat.S_IMODE(fallback.lstat().st_mode) == 0o600
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(fallback))
        assert not fallback.exists()
        assert path.lstat() == before
    (entry,) = logs
    assert (entry["event"], entry["log_level"]) == ("socket path taken, serving another", "warning")
    assert entry["socket"] == str(fallback)
    assert entry["error"].startswith(f"{path}: taken by a file of ")
    assert str(NOBODY) in entry["error"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_is_configured_and_taken_is_an_error(path: Path, kind: str) -> None:
    with squatted(path, kind), socket.socket(socket.AF_UNIX) as listener:
        with pytest.raises(IktoError, match=f"taken by a file of .*{NOBODY}") as caught, bound(listener, path):
            pass
        assert caught.value.exit_code == 1
        assert "-s" in caught.value.hint


def test_a_file_that_appears_after_the_check_is_another_users_too(
    path: Path, fallback: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = listener_module._remove_stale_socket

    def check_too_early(checked: Path) -> None:
        check(checked)
        if checked == path:
            with as_nobody():
                path.touch()

    monkeypatch.setattr(listener_module, "_remove_stale_socket", check_too_early)
    with socket.socket(socket.AF_UNIX) as listener, bound(listener, path, fallback) as (used, _):
        assert used == fallback


def test_a_lock_of_another_user_on_the_directory_stops_no_agent(path: Path, directory: Path) -> None:
    with as_nobody():
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with socket.socket(socket.AF_UNIX) as listener, bound(listener, path) as (used, _):
            assert used == path
    finally:
        os.close(descriptor)


def test_a_client_believes_no_other_user_and_sends_it_nothing(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        with as_nobody():
            listener.bind(str(path))
            listener.listen()
        with pytest.raises(IktoError, match=f"{path}: not trusted, it belongs to .*{NOBODY}") as caught:
            AdminClient(path).rotate_key()
        assert caught.value.exit_code == 1
        assert "\n" not in str(caught.value)
        with listener.accept()[0] as client:
            assert client.recv(1) == b""


def test_a_user_believes_root_and_itself(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o666)
        with as_nobody(), pytest.raises(IktoError, match="did not answer"):
            AdminClient(path, timeout_s=0.1).status()
