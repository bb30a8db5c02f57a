"""A configuration that others can change is refused, one with a secret also if others can read it."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ikto_core.cli.main import run
from ikto_core.config import config_of, file_problems, load_config
from ikto_core.config.files import CHECKS
from ikto_core.errors import ConfigError
from tests.other_user import NOBODY, needs_root
from tests.store.credentials import ACCOUNT, Nkey

SECRETS: list[dict[str, Any]] = [
    {"nats_user": "u", "nats_password": "hunter2"},
    {"nats_token": "hunter2"},
    {"nats_url": "nats://u:hunter2@127.0.0.1"},
    {"nats_url": "nats://hunter2@127.0.0.1"},
]
PAIRS = {"nats_tls_cert": "nats_tls_key", "nats_tls_key": "nats_tls_cert"}


def write(path: Path, mode: int, **settings: object) -> Path:
    path.write_text(json.dumps({"private_address": "auto", **settings}))
    path.chmod(mode)
    return path


def problems(path: Path) -> tuple[str, ...]:
    try:
        load_config(path, environ={}, overrides={})
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize("secret", SECRETS, ids=str)
def test_a_file_with_a_secret_is_its_owners_alone(tmp_path: Path, secret: dict[str, Any]) -> None:
    path = tmp_path / "c.json"
    assert problems(write(path, 0o600, **secret)) == ()
    for mode, what in ((0o644, "read"), (0o640, "read"), (0o666, "change"), (0o620, "change")):
        (problem,) = problems(write(path, mode, **secret))
        wrong = f"has mode {mode:04o}, which lets other users {what} it, and holds a secret"
        assert problem == f"{path}: {wrong}; chmod 600 {path}"


@pytest.mark.parametrize("secret", [{}, {"nats_token": ""}, {"nats_url": "nats://127.0.0.1"}], ids=str)
def test_a_file_without_a_secret_may_be_read_and_not_changed(tmp_path: Path, secret: dict[str, Any]) -> None:
    path = tmp_path / "c.json"
    assert problems(write(path, 0o644, **secret)) == ()
    (problem,) = problems(write(path, 0o664, **secret))
    assert problem == f"{path}: has mode 0664, which lets other users change it; chmod go-w {path}"


@needs_root
def test_a_secret_belongs_to_root_or_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "c.json", 0o600, nats_token="x")
    os.chown(path, NOBODY, NOBODY)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}: belongs to ")
    assert problem.endswith(f"; chown root {path}")
    monkeypatch.setenv("SUDO_UID", str(NOBODY))
    assert problems(path) == ()


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o666])
@pytest.mark.parametrize("setting", CHECKS)
def test_the_files_that_it_names_are_checked(
    tmp_path: Path, setting: str, mode: int, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "f"
    file.touch()
    file.chmod(mode)
    settings = {name: str(tmp_path / "missing") for name in (PAIRS.get(setting), "private_key_path") if name}
    settings[setting] = str(file)
    if setting == "nats_account_jwt":
        settings |= {"record_trust": f"account:{Nkey(ACCOUNT).public}", "nats_creds": str(tmp_path / "missing")}
    is_secret = setting not in ("nats_tls_ca", "nats_tls_cert", "nats_account_jwt")
    is_refused = is_secret and setting != "private_key_path"  # 0.3.0 and `wg` accept a key that others can read
    what = {0o600: "", 0o644: "read" * is_refused, 0o666: "change"}[mode]
    wrong = f"{setting}: {file}: has mode {mode:04o}, which lets other users {what} it"
    expected = [f"{wrong}; chmod {'600' if is_secret else 'go-w'} {file}"] if what else []
    assert list(file_problems(config_of(private_address="auto", **settings))) == expected
    path = write(tmp_path / "c.json", 0o600, **settings)
    run(["config", "check", "-c", str(path)])  # it also names the files that are missing or have the wrong content
    said = [line for line in capsys.readouterr().err.splitlines() if "has mode" in line and "warning" not in line]
    assert said == [f"ikto: {problem}" for problem in expected]
    run(["config", "check", "--json", "-c", str(path)])
    answer = json.loads(capsys.readouterr().out)
    assert [problem for problem in answer["problems"] if "has mode" in problem] == expected
