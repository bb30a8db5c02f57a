"""`ikto key` generates WireGuard keys and never prints a private key."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_core.admin.views import NatsView, RotationView
from ikto_core.cli.key import progress
from ikto_core.cli.main import run
from ikto_core.disk.key_file import load_private_key
from ikto_core.values.times import utc
from tests.cli.test_status import NOW, STATUS, plain

# RFC 7748 section 6.1: Alice's keys.
PRIVATE = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
PUBLIC = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="


def test_generate_writes_a_file_with_mode_0600_and_prints_the_public_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "private.key"
    assert run(["key", "generate", str(path)]) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out == f"{load_private_key(path).public().text}\n"


def test_every_generated_key_is_different(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run(["key", "generate", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() != (tmp_path / "b").read_bytes()


def test_a_key_is_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "private.key"
    path.write_text(PRIVATE)
    assert run(["key", "generate", str(path)]) == 3
    captured = capsys.readouterr()
    assert captured.err == f"ikto: {path}: already exists and is not overwritten (choose another path)\n"
    assert captured.out == ""
    assert path.read_text() == PRIVATE


def test_show_prints_the_public_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "private.key"
    path.touch(mode=0o600)
    path.write_text(f"{PRIVATE}\n")
    assert run(["key", "show", str(path)]) == 0
    assert capsys.readouterr().out == f"{PUBLIC}\n"


def test_a_key_file_that_others_can_change_is_one_line_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "private.key"
    path.write_text(PRIVATE)
    path.chmod(0o666)
    assert run(["key", "show", str(path)]) == 3
    expected = f"ikto: {path}: has mode 0666, which lets other users change it (chmod 600 {path})\n"
    assert capsys.readouterr().err == expected


def test_rotate_says_what_it_waits_for() -> None:
    announced = replace(STATUS, rotation=RotationView(next_public_key=PUBLIC, due_at=utc(NOW + 9)))
    assert "announced to peers; in use from " in progress(announced, NOW)
    assert progress(announced, NOW) == progress(announced, NOW + 5), "the line must not change while nothing happens"
    assert progress(announced, NOW + 10) == "switching to the next key"
    assert "waiting for this node's record" in progress(replace(STATUS, rotation=None), NOW)
    cut_off = replace(announced, nats=NatsView(connected=False, server=None, failure="no answer"))
    assert "waiting for NATS" in progress(cut_off, NOW)
    assert f"next key    {PUBLIC}\n" in plain(announced)
    assert "next key" not in plain(STATUS)


def test_a_missing_key_file_is_one_line_with_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "private.key"
    assert run(["key", "show", str(path)]) == 3
    assert capsys.readouterr().err == f"ikto: {path}: there is no such file (create it: ikto key generate {path})\n"
