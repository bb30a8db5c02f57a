"""A command that takes long says on a terminal what it is doing, erases that, and says nothing elsewhere."""

import io
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner

from ikto_core.cli.progress import Progress, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make a terminal of 40 columns stderr. Call it in the test: pytest sets stderr after the fixtures."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "40")
    return stream


def wait_for(condition: Callable[[], bool]) -> None:
    ends_at = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends_at
        time.sleep(0.001)


def screen(text: str) -> str:
    """Return what a terminal shows after this text: the last line, on which each \\r begins again."""
    shown = ""
    for part in text.split("\r"):
        shown = part + shown[len(part) :]
    return shown.rstrip()


def test_the_line_is_shown_and_erased(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with progress("reading the bucket", after_s=0.01):
        wait_for(lambda: "reading the bucket … " in terminal.getvalue())
        assert screen(terminal.getvalue()).startswith("reading the bucket … ")
    assert screen(terminal.getvalue()) == ""
    assert "\x1b" not in terminal.getvalue()


def test_the_text_changes_and_is_cut_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with progress("reading the bucket, which is a very large one", after_s=0.01) as shown:
        wait_for(lambda: "\rreading the bucket, which is a very la…" in terminal.getvalue())
        shown.say("asking \x1b[31m")
        wait_for(lambda: "\rasking \\x1b[31m … " in terminal.getvalue())
        assert "very" not in screen(terminal.getvalue())
        shown.clear()
        shown.say("")
    assert screen(terminal.getvalue()) == ""


def test_it_is_erased_after_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)

    def fail() -> None:
        with progress("reading", after_s=0.01):
            wait_for(lambda: "reading" in terminal.getvalue())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert screen(terminal.getvalue()) == ""


def test_a_command_that_is_done_at_once_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = terminal_of(monkeypatch)
    with progress("reading", after_s=3600):
        pass
    assert terminal.getvalue() == ""


def test_a_pipe_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with progress("reading", after_s=0.01) as shown:
        shown.clear()
    assert isinstance(shown, Progress)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("arguments", "shown"), [((), True), (("--json",), False), (("-o", "json"), False)])
def test_with_json_there_is_nothing(arguments: tuple[str, ...], shown: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()

    @click.command()
    @click.option("--json", "as_json", is_flag=True)
    @click.option("-o", "--output", default="table")
    def command(as_json: bool, output: str) -> None:
        assert isinstance(as_json, bool)
        assert output
        monkeypatch.setattr(sys, "stderr", stream)
        with progress("reading", after_s=0.01) as line:
            assert line.visible is shown
            if shown:
                wait_for(lambda: "reading" in stream.getvalue())

    assert CliRunner().invoke(command, arguments).exit_code == 0
    assert bool(stream.getvalue()) is shown


@pytest.mark.slow
def test_a_real_command_shows_it_on_a_terminal_and_erases_it() -> None:
    controller, terminal = pty.openpty()
    code = "from ikto_core.cli.main import main; main()"
    command = [sys.executable, "-c", code, "wait", "--ready", "--timeout", "3s", "-s", "/nonexistent/ikto.sock"]
    environ = os.environ | {"COLUMNS": "80"}
    with subprocess.Popen(command, stderr=terminal, stdout=subprocess.DEVNULL, env=environ) as process:
        os.close(terminal)
        text = b"".join(iter(lambda: _read(controller), b"")).decode()
    os.close(controller)
    assert process.returncode == 24
    assert "\rwaiting: " in text
    assert screen(text.split("\r\n")[0]).startswith("ikto: not within 3 s: ")


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # EIO: the other end is closed
        return b""
