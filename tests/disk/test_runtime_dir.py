"""The directory of locks is this user's alone, or it is refused with the command that mends it."""

import os
from pathlib import Path

import pytest

from ikto_core.disk import runtime_dir as runtime_dir_module
from ikto_core.disk.runtime_dir import private_runtime_dir, runtime_dir
from ikto_core.errors import IktoError
from tests.other_user import NOBODY, needs_root


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(runtime_dir_module, "SYSTEM_RUNTIME_DIR", tmp_path / "ikto")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "ikto"


def refusal() -> IktoError:
    with pytest.raises(IktoError) as caught:
        private_runtime_dir()
    assert "\n" not in str(caught.value)
    return caught.value


def test_users_have_a_directory_each_and_root_ignores_the_variable() -> None:
    environ = {"XDG_RUNTIME_DIR": "/run/user/7"}
    assert runtime_dir(environ=environ, uid=7) == Path("/run/user/7/ikto")
    assert runtime_dir(environ=environ, uid=0) == runtime_dir(environ={}, uid=7) == Path("/run/ikto")


def test_it_is_created_for_this_user_alone(directory: Path) -> None:
    for _ in range(2):
        assert private_runtime_dir() == directory
        assert directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o711, 0o1777, 0o750])
def test_one_that_others_may_open_is_refused(directory: Path, mode: int) -> None:
    directory.mkdir()
    directory.chmod(mode)
    error = refusal()
    assert str(error) == f"{directory}: has mode {mode:04o}, which lets other users open it"
    assert error.hint == f"chmod 700 {directory}"


@pytest.mark.parametrize("kind", ["file", "symlink"])
def test_one_that_is_no_directory_is_refused(directory: Path, kind: str) -> None:
    directory.touch() if kind == "file" else directory.symlink_to("/")
    refusal()


@needs_root
def test_one_of_another_user_is_refused(directory: Path) -> None:
    directory.mkdir(0o700)
    os.chown(directory, NOBODY, NOBODY)
    assert f"belongs to another user, with the id {NOBODY}" in str(refusal())
