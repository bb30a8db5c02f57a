"""`ikto config check` reports the same problems as an agent would."""

import json
from pathlib import Path

import pytest

from ikto_core.cli.main import run
from ikto_core.config import config_schema


@pytest.fixture
def valid(tmp_path: Path) -> Path:
    path = tmp_path / "ikto.json"
    path.write_text('{"private_address": "auto"}')
    return path


@pytest.fixture
def invalid(tmp_path: Path) -> Path:
    path = tmp_path / "ikto.json"
    path.write_text('{"private_address": "auto", "wg_port": 0, "nats_kv": ""}')
    return path


def test_a_valid_file_is_ok(valid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "-c", str(valid)]) == 0
    assert capsys.readouterr().out == f"{valid}: ok\n"


def test_a_valid_file_is_ok_in_json(valid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "--config", str(valid)]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": []}


def test_every_problem_is_one_line(invalid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "-c", str(invalid)]) == 3
    captured = capsys.readouterr()
    port, bucket = captured.err.splitlines()
    assert port == f"ikto: wg_port: 0 is not a port (in {invalid}); give 1 to 65535"
    assert bucket.startswith('ikto: nats_kv: "" is not a bucket\'s name ')
    assert captured.out == ""


def test_every_problem_is_one_item_in_json(invalid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "-c", str(invalid)]) == 3
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert answer["ok"] is False
    assert [problem.partition(":")[0] for problem in answer["problems"]] == ["wg_port", "nats_kv"]
    assert captured.err == ""


def test_a_directory_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "-c", str(tmp_path)]) == 3
    assert json.loads(capsys.readouterr().out)["problems"] == [f"{tmp_path}: is a directory, not a file"]


def test_a_missing_file_is_one_line_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none"
    assert run(["config", "check", "-c", str(path)]) == 3
    assert capsys.readouterr().err == f"ikto: {path}: there is no such file (`ikto init -o {path}` writes one)\n"


def test_environment_variables_are_checked(
    valid: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKTO_WG_PORT", "x")
    assert run(["config", "check", "-c", str(valid)]) == 3
    assert "(from IKTO_WG_PORT)" in capsys.readouterr().err


def test_a_file_name_cannot_control_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "\x1b[31m"
    path.write_text('{"private_address": "auto"}')
    assert run(["config", "check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/\\x1b[31m: ok\n"


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(config_schema()))
