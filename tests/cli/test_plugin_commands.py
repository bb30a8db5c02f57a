"""Commands of plugins: listed with who brings them, run like our own, and never in the way of those."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikto_core.cli.main import COMMANDS, run
from tests.plugin_site import Site

TOP = """
@hookimpl
def ikto_register_commands(cli):
    @cli.command()
    @click.option("--fail")
    def top(fail):
        "Show who talks\x1b most."
        if fail == "ours":
            raise IktoError("no agent answers", hint="start one")
        if fail == "code":
            click.get_current_context().exit(3)
        if fail:
            raise ValueError(fail)
        click.echo("node-b")
        return 1  # so many
"""


@pytest.fixture
def acme(site: Site) -> Site:
    site.install("acme-ikto", TOP)
    return site


@pytest.mark.usefixtures("acme")
def test_help_lists_it_in_a_section_of_its_own_with_who_brings_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    ours, theirs = capsys.readouterr().out.split("Commands of plugins:\n")
    assert theirs.split() == ["top", "Show", "who", r"talks\x1b", "most.", "[acme-ikto", "1.5]"]
    assert all(f"  {name} " in ours for name in COMMANDS)


@pytest.mark.usefixtures("acme")
def test_it_runs_like_one_of_ours(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top"]) == 0
    assert capsys.readouterr().out == "node-b\n"
    assert run(["top", "--nonsense"]) == 2
    assert "Usage: ikto top" in capsys.readouterr().err
    assert run(["top", "--help"]) == 0
    assert run(["top", "--fail", "code"]) == 3


@pytest.mark.usefixtures("acme")
def test_an_error_of_ours_is_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top", "--fail", "ours"]) == 1
    assert capsys.readouterr().err == "ikto: no agent answers (start one)\n"


@pytest.mark.usefixtures("acme")
def test_any_other_error_is_one_line_that_says_whose_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top", "--fail", "\x1bboo"]) == 7
    told = r"ikto: `ikto top` of acme-ikto 1.5 failed: ValueError: \x1bboo (run `ikto --debug …` for the traceback)"
    assert capsys.readouterr().err == told + "\n"
    assert run(["--debug", "top", "--fail", "boo"]) == 7
    assert capsys.readouterr().err.startswith("Traceback")


@pytest.mark.usefixtures("acme")
def test_an_unknown_command_is_still_a_wrong_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topp"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_one_that_hides_ours_is_not_heard_of(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code = "@hookimpl\ndef ikto_register_commands(cli): cli.add_command(click.Command('key', callback=lambda: 1 / 0))"
    site.install("acme-ikto", code)
    assert run(["key", "--help"]) == 0
    assert not site.imported("acme-ikto")
    assert run(["--help"]) == 0
    assert "Commands of plugins" not in capsys.readouterr().out
    assert run(["plugins"]) == 0
    assert "which is a command of Ikto's own" in capsys.readouterr().out


def test_a_broken_plugin_leaves_help_whole_and_is_told_of_when_asked_for(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install("acme-ikto", "import sys; sys.exit('I am out')", entry="top")
    assert run(["--help"]) == 0
    assert "  agent " in capsys.readouterr().out
    assert run(["top"]) == 7
    assert "command 'top' of acme-ikto 1.5" in (told := capsys.readouterr().err)
    assert "I am out" in told


@pytest.mark.parametrize("name", ["acme-ikto", "top"])
def test_the_environment_blocks_it(acme: Site, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKTO_BLOCKED_PLUGINS", f"other,{name}")
    assert run(["top"]) == (7 if name == "top" else 2)
    assert acme.imported("acme-ikto") == (name == "top")


@pytest.mark.parametrize("arguments", [["--version"], ["key", "--help"], ["key", "nonsense"]])
def test_no_plugin_is_looked_for_where_none_is_needed(acme: Site, arguments: list[str]) -> None:
    program = (
        f"import sys\nfrom ikto_core.cli.main import run\nrun({arguments!r})\nprint(*sys.modules, file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(acme.path), str(Path(__file__).parents[2])])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert not set(done.stderr.split()) & {"acme_ikto_module", "importlib.metadata", "pluggy", "ikto_core.plugins"}
