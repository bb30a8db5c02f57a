"""`ikto config` says of a file what an agent would."""

import json
from pathlib import Path

import pytest

from ikto_core.cli.main import run
from ikto_core.config import config_schema


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "ikto.json"
    path.write_text('{"private_address": "auto"}')
    return path


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    path = tmp_path / "ikto.json"
    path.write_text('{"private_address": "auto", "wg_port": 0, "nats_kv": ""}')
    return path


def test_a_good_file_is_ok(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "-c", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: ok\n"


def test_a_good_file_is_ok_for_a_program(good: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "--config", str(good)]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "problems": []}


def test_every_problem_is_a_line(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "-c", str(bad)]) == 3
    captured = capsys.readouterr()
    port, bucket = captured.err.splitlines()
    assert port == f"ikto: wg_port: 0 is not a port (in {bad}); give 1 to 65535"
    assert bucket.startswith('ikto: nats_kv: "" is not a bucket\'s name ')
    assert captured.out == ""


def test_every_problem_is_an_item_for_a_program(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "-c", str(bad)]) == 3
    captured = capsys.readouterr()
    answer = json.loads(captured.out)
    assert answer["ok"] is False
    assert [problem.partition(":")[0] for problem in answer["problems"]] == ["wg_port", "nats_kv"]
    assert captured.err == ""


def test_a_file_that_is_no_configuration_is_one_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "check", "--json", "-c", str(tmp_path)]) == 3
    assert json.loads(capsys.readouterr().out)["problems"] == [f"{tmp_path}: is a directory, not a file"]


def test_a_missing_file_is_one_line_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none"
    assert run(["config", "check", "-c", str(path)]) == 3
    assert capsys.readouterr().err == f"ikto: {path}: there is no such file (`ikto init -o {path}` writes one)\n"


def test_the_environment_is_checked_too(
    good: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IKTO_WG_PORT", "x")
    assert run(["config", "check", "-c", str(good)]) == 3
    assert "(from IKTO_WG_PORT)" in capsys.readouterr().err


def test_a_files_name_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "\x1b[31m"
    path.write_text('{"private_address": "auto"}')
    assert run(["config", "check", "-c", str(path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/\\x1b[31m: ok\n"


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(config_schema()))
