"""Where a client looks for an agent if no path is given, and what it believes there."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ikto_core.admin import socket_paths
from ikto_core.admin.socket_paths import searched_sockets
from ikto_core.admin.trusted_socket import first_agent
from ikto_core.client import AdminClient
from ikto_core.errors import IktoError
from ikto_core.lab.unprivileged import as_nobody
from tests.other_user import NOBODY, needs_root


@pytest.fixture
def run(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path in the runtime directory, which is looked at before `path`."""
    monkeypatch.setattr(socket_paths, "SYSTEM_RUNTIME_DIR", directory)
    monkeypatch.setattr(socket_paths, "runtime_dir", lambda **_: directory)
    monkeypatch.setattr(socket_paths, "NAME", "run.sock")
    monkeypatch.setattr(socket_paths, "DEFAULT_SOCKET", directory / "ikto.sock")
    return directory / "run.sock"


@pytest.fixture
def listen() -> Iterator[Callable[[Path], socket.socket]]:
    with ExitStack() as stack:

        def listening(path: Path) -> socket.socket:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(str(path))
            listener.listen()
            return listener

        yield listening


Listen = Callable[[Path], socket.socket]


def found() -> Path:
    with first_agent(searched_sockets(), 5) as connected:
        return connected.path


RUN, TMP = "/run/ikto/ikto.sock", "/tmp/ikto.sock"  # noqa: S108 - as in 0.3.0
OF_7 = "/run/user/7/ikto/ikto.sock"


@pytest.mark.parametrize(
    ("uid", "environ", "paths"),
    [
        (0, {}, [RUN, TMP]),
        (0, {"XDG_RUNTIME_DIR": "/run/user/7"}, [RUN, TMP]),
        (7, {"XDG_RUNTIME_DIR": "/run/user/7"}, [OF_7, RUN, TMP]),
        (7, {"XDG_RUNTIME_DIR": "relative"}, [RUN, TMP]),
        (7, {}, [RUN, TMP]),
    ],
)
def test_the_runtime_directory_comes_before_tmp(uid: int, environ: dict[str, str], paths: list[str]) -> None:
    assert list(map(str, searched_sockets(environ=environ, uid=uid))) == paths


def test_the_first_path_where_an_agent_listens_is_used(run: Path, path: Path, listen: Listen) -> None:
    listen(path)
    assert found() == path
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(run))
    assert found() == path
    run.unlink()
    listen(run)
    assert found() == run


@pytest.mark.usefixtures("run")
def test_without_an_agent_every_path_is_named(directory: Path) -> None:
    with pytest.raises(IktoError) as caught:
        AdminClient().status()
    assert str(caught.value) == f"no agent answers on {directory}/run.sock or {directory}/ikto.sock"
    assert caught.value.hint == "ikto agent -c FILE, or give its socket with -s"


@needs_root
def test_a_path_without_permission_is_named_if_no_other_has_an_agent(run: Path, path: Path, directory: Path) -> None:
    directory.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(run))
        listener.listen()
        run.chmod(0o600)
        with as_nobody(), pytest.raises(IktoError) as caught:
            AdminClient().status()
    assert (str(caught.value), caught.value.hint) == (
        f"{run}: permission denied",
        "run as the agent's user, or as root",
    )
    assert not path.exists()


@needs_root
@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("kind", ["file", "symlink to an agent's socket"])
def test_another_users_file_at_a_searched_path_is_not_followed(
    directory: Path, path: Path, listen: Listen, kind: str
) -> None:
    directory.chmod(0o1777)
    listen(directory / "another agent of root")
    with as_nobody():
        path.touch() if kind == "file" else path.symlink_to(directory / "another agent of root")
    with pytest.raises(IktoError, match=f"{path}: not trusted, it belongs to .*{NOBODY}"):
        AdminClient().status()
