"""The `ikto` program: it starts fast, prints one line per error, and exits with the code of the error's class."""

import json
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import click
import pytest

from ikto_core import __version__, errors
from ikto_core.cli.examples import TITLE
from ikto_core.cli.exit_codes import READER_GONE
from ikto_core.cli.main import COMMANDS, Run, cli, run, wants_json

HEAVY = {
    "python_wireguard",
    "nats",
    "pyroute2",
    "aiohttp",
    "rich",
    "msgspec",
    "structlog",
    "pluggy",
    "nacl",
    "prometheus_client",
    "asyncio",
}
PROGRAM = [sys.executable, "-c", "from ikto_core.cli.main import main; main()"]


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Add a command `boom` that raises a given error."""
    module = sys.modules[__name__]
    monkeypatch.setitem(COMMANDS, "boom", (f"{__name__}:boom", "Raise."))

    def define(error: BaseException) -> None:
        @click.command()
        def boom() -> None:
            raise error

        monkeypatch.setattr(module, "boom", boom, raising=False)

    return define


def test_help_lists_every_command_and_imports_none() -> None:
    program = (
        "import sys\n"
        "from ikto_core.cli.main import run\n"
        "code = run(['--help'])\n"
        "print(*sys.modules, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert all(f"  {name} " in done.stdout for name in COMMANDS)
    imported = set(done.stderr.split())
    assert not imported & HEAVY
    assert {name for name in imported if name.startswith("ikto_core.cli.")} == {
        "ikto_core.cli.examples",
        "ikto_core.cli.groups",
        "ikto_core.cli.plugin_commands",
        "ikto_core.cli.main",
        "ikto_core.cli.closed_output",
        "ikto_core.cli.exit_codes",
    }


def test_the_table_of_commands_has_the_right_import_paths() -> None:
    for name in ("init", "config", "key"):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert command.name == name


def test_version_is_the_version_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"ikto {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["nonsense"], ["--nonsense"], ["init", "--nonsense"], ["config", "check", "x"], ["key", "show"], ["key"]],
)
def test_an_invalid_command_line_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert "Usage: ikto" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.IktoError("m"), 1),
        (errors.ConfigError("m"), 3),
        (errors.AddressInUseError("m"), 4),
        (errors.NatsDeniedError("m"), 5),
        (errors.NoSuchDeviceError("m"), 6),
        (errors.PluginError("m"), 7),
    ],
)
def test_an_error_is_one_line_and_exits_with_the_code_of_its_class(
    error: errors.IktoError,
    code: int,
    raising: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    raising(error)
    assert run(["boom"]) == code
    assert capsys.readouterr().err == "ikto: m\n"


def test_a_hint_follows_the_message(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.NatsError("no server answers", hint="start one"))
    run(["boom"])
    assert capsys.readouterr().err == "ikto: no server answers (start one)\n"


def test_each_problem_of_a_configuration_is_one_line(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.ConfigError("2 problems", problems=("a: x", "b: y")))
    assert run(["boom"]) == 3
    assert capsys.readouterr().err == "ikto: a: x\nikto: b: y\n"


def test_an_unexpected_error_is_one_line_and_exits_1(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(KeyError("a"))
    assert run(["boom"]) == 1
    expected = "ikto: internal error: KeyError: 'a'; run `ikto --debug …` for the traceback\n"
    assert capsys.readouterr().err == expected


def test_only_debug_shows_a_traceback(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.NatsError("m"))
    assert run(["--debug", "boom"]) == 5
    first, *_, last = capsys.readouterr().err.splitlines()
    assert (first, last) == ("Traceback (most recent call last):", "ikto: m")


def test_the_cause_of_a_failed_task_group_is_reported(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    inner = ExceptionGroup("inner", [OSError("noise"), errors.AddressInUseError("it is taken")])
    raising(ExceptionGroup("outer", [ValueError("noise"), inner]))
    assert run(["boom"]) == 4
    assert capsys.readouterr().err == "ikto: it is taken\n"


def test_a_group_without_an_ikto_error_reports_its_first_error() -> None:
    first = ValueError("first")
    assert errors.first_cause(ExceptionGroup("g", [ExceptionGroup("h", [first]), OSError()])) is first


def test_an_interrupt_exits_130(raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]) -> None:
    raising(KeyboardInterrupt())
    assert run(["boom"]) == 130
    assert capsys.readouterr().err.strip() == ""


@pytest.mark.parametrize("debug", [[], ["--debug"]])
def test_a_message_cannot_control_the_terminal(
    debug: list[str], raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(errors.NatsError("\x1b[31m\r\n\u202e\udcff\x9b"))
    run([*debug, "boom"])
    assert capsys.readouterr().err.splitlines()[-1] == r"ikto: \x1b[31m\r\n\u202e\udcff\x9b"


def test_the_process_exits_with_the_code_of_the_error(tmp_path: Path) -> None:
    arguments = ["config", "check", "--json", "-c", str(tmp_path / "none")]
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, check=False)
    assert done.returncode == 3
    assert json.loads(done.stdout)["ok"] is False


@pytest.mark.parametrize("arguments", [["config", "schema"], ["--help"]])
def test_a_full_disk_at_standard_output_is_one_line_and_an_exit_code(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "ikto: standard output can't be written: No space left on device\n"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["config", "schema"], ["doctor", "--pre", "-c", "/nowhere"], ["--help"]])
def test_a_reader_that_has_seen_enough_is_no_error(arguments: list[str]) -> None:
    """As in `ikto doctor | head -1`. The exit code is that of a program which SIGPIPE ends."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([*PROGRAM, *arguments], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (READER_GONE, "")


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_no_error(closed: str) -> None:
    """No file that is opened later takes its number: programs that an observer runs would write into that."""
    program = "import os, ikto_core.cli.main as cli; cli.run = lambda _: os.dup(0) < 3; cli.main()"
    arguments = {"a table": [*PROGRAM, "plugins"], "the numbers": [sys.executable, "-c", program]}
    for what, command in arguments.items():
        done = subprocess.run(
            ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), what


@pytest.mark.slow
def test_a_full_disk_at_standard_error_keeps_the_exit_code() -> None:
    with Path("/dev/full").open("w") as full:
        command = [*PROGRAM, "config", "check", "-c", "/nowhere"]
        assert subprocess.run(command, stderr=full, check=False).returncode == 3


@pytest.mark.slow
def test_what_the_terminal_can_not_encode_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "\u0142.json"
    path.touch(mode=0o600)
    path.write_text('{"private_address": "auto"}')
    environ = os.environ | {"PYTHONIOENCODING": "latin-1:strict"}
    command = [*PROGRAM, "config", "check", "--other-host", "-c", str(path)]
    done = subprocess.run(command, env=environ, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b"\\u0142.json: ok\n")


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["statu"], "status"),
        (["docter", "--pre"], "doctor"),
        (["bucket", "crate"], "create"),
        (["peers", "relaese"], "release"),
        (["config", "chek"], "check"),
        (["key", "rotte"], "rotate"),
        (["nats", "acounts"], "accounts"),
    ],
)
def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(
    arguments: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert f"Did you mean '{meant}'?" in capsys.readouterr().err


def test_nothing_is_suggested_for_what_is_like_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["xyzzy"]) == 2
    assert "Did you mean" not in capsys.readouterr().err


def test_with_json_an_error_is_json_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "-s", str(tmp_path / "s"), "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    answer = json.loads(captured.err)
    assert answer["error"] == f"no agent answers on {tmp_path}/s"
    assert answer["hint"].startswith("ikto agent -c FILE")
    assert answer["exit_code"] == 1


def test_with_json_every_problem_of_a_configuration_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "c.json"
    path.write_text('{"wg_port": 0, "nats_kv": "", "private_address": "auto"}')
    assert run(["diff", "-c", str(path), "--no-agent", "--json"]) == 3
    answer = json.loads(capsys.readouterr().err)
    assert (answer["exit_code"], len(answer["problems"])) == (3, 2)


def test_with_json_a_wrong_command_line_is_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", "--json", "--nonsense"]) == 2
    answer = json.loads(capsys.readouterr().err)
    assert "No such option" in answer["error"]
    assert answer["exit_code"] == 2


@pytest.mark.parametrize(
    ("arguments", "expected"), [(["a", "--json"], True), (["a"], False), (["a", "--", "--json"], False)]
)
def test_only_the_option_counts(arguments: list[str], expected: bool) -> None:
    assert wants_json(arguments) is expected


@pytest.mark.parametrize(("value", "colours"), [("", True), ("1", False)])
def test_no_color_switches_colours_off(value: str, colours: bool, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ikto_core", "doctor", "-c", str(tmp_path / "nowhere")]
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as terminal:
        process = subprocess.Popen(command, stdout=slave, stderr=slave, env=os.environ | {"NO_COLOR": value})
        os.close(slave)
        shown = b""
        with suppress(OSError):  # the other end is closed
            while part := terminal.read(4096):
                shown += part
        assert process.wait(60) == 21
    assert (b"\x1b[" in shown) is colours
    assert b"configuration" in shown


def every_command() -> Iterator[tuple[str, click.Command]]:
    """The built-in commands with a text of help of their own, by their whole names."""
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli, obj=Run()), name)
        assert command
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {child}", found) for child, found in command.commands.items())


EVERY_COMMAND = dict(every_command())


def test_the_help_of_a_group_has_examples_of_its_commands() -> None:
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli, obj=Run()), name)
        assert command
        _, _, lines = (command.epilog or "").partition(f"{TITLE}\n")
        assert lines.strip().startswith(f"ikto {name}"), name
        for line in lines.strip().splitlines():
            words = line.split()
            if isinstance(command, click.Group) and len(words) > 2:
                assert words[2] in command.commands or words[2].startswith("-"), name


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_help_text_has_examples_that_the_command_accepts(name: str) -> None:
    _, title, lines = (EVERY_COMMAND[name].epilog or "").partition(f"{TITLE}\n")
    assert title
    for line in lines.strip().splitlines():
        ikto, *words = shlex.split(re.split(r"[|>]", line)[0], comments=True)
        assert ikto == "ikto"
        assert words[: len(name.split())] == name.split()
        EVERY_COMMAND[name].make_context(name, words[len(name.split()) :])  # a UsageError if it is not accepted


@pytest.mark.parametrize("arguments", [["plugins"], ["why", "x", "-s", "/nowhere/s"], ["config", "schema"]])
def test_a_closed_standard_output_is_no_internal_error(arguments: list[str]) -> None:
    command = f"exec {shlex.join([*PROGRAM, *arguments])} >&-"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, check=False)
    assert "internal error" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("arguments", [["status", "-s"], ["config", "check", "-c"]])
def test_a_file_of_another_user_is_named_as_the_cause_and_not_the_command_line(
    tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "of-root"
    path.touch()
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    assert run([*arguments, str(path)]) != 2
    assert "is not readable" not in capsys.readouterr().err


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_the_text_of_a_help_repeats_no_examples(name: str) -> None:
    text = EVERY_COMMAND[name].help or ""
    assert not re.search(rf"^ *({TITLE}|ikto )", text, re.MULTILINE)
