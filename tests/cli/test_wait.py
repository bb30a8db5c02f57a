"""`ikto wait` ends at once where waiting can't help."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikto_core.cli.exit_codes import TIMED_OUT
from ikto_core.cli.main import run
from tests.other_user import NOBODY, needs_root


@pytest.fixture
def as_nobody(tmp_path: Path) -> Iterator[None]:
    tmp_path.chmod(0o700)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
@pytest.mark.usefixtures("as_nobody")
def test_a_user_who_may_not_ask_the_agent_does_not_wait(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "socket"
    assert run(["wait", "--ready", "-s", str(path), "--timeout", "5s"]) == 1
    assert capsys.readouterr().err == f"ikto: {path}: permission denied (run as the agent's user, or as root)\n"


def test_a_missing_socket_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["wait", "--ready", "-s", str(tmp_path / "socket"), "--timeout", "0"]) == TIMED_OUT
    assert capsys.readouterr().err.startswith("ikto: not within 0 s: no agent answers on ")
