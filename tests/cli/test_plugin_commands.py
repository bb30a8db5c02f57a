"""Plugin commands: listed with their distribution, run like built-in ones, and unable to replace those."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikto_core.cli.main import COMMANDS, run
from ikto_core.plugins.sources import GROUPS
from tests.plugin_site import Site

TOP = """
@hookimpl
def ikto_register_commands(cli):
    @cli.command()
    @click.option("--fail")
    def top(fail):
        "Show who talks\x1b most."
        if fail == "ikto":
            raise IktoError("no agent answers", hint="start one")
        if fail == "code":
            click.get_current_context().exit(3)
        if fail:
            raise ValueError(fail)
        click.echo("node-b")
        return 1  # not an exit code
"""


@pytest.fixture
def acme(site: Site) -> Site:
    site.install("acme-ikto", TOP, entry="top", group="ikto.commands")
    return site


@pytest.fixture
def unnamed(site: Site) -> Site:
    """The same plugin with an entry point that does not say what it provides."""
    site.install("acme-ikto", TOP)
    return site


def test_help_lists_the_commands_of_plugins_by_their_entry_points_and_imports_none(
    acme: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--help"]) == 0
    builtin, added = capsys.readouterr().out.split("Plugin commands:\n")
    assert added.splitlines()[0].split() == ["top", "[acme-ikto", "1.5]"]
    assert all(f"  {name} " in builtin for name in COMMANDS)
    assert not acme.imported("acme-ikto")


def test_help_has_the_summary_that_a_distribution_gives_of_itself(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    metadata = b"Metadata-Version: 2.1\nName: acme-ikto\nVersion: 1.5\nSummary: Who talks\x1b most\n"
    site.describe("acme-ikto", "[ikto.commands]\ntop = nothing_of_that_name\n", metadata=metadata)
    assert run(["--help"]) == 0
    assert r"top  Who talks\x1b most [acme-ikto 1.5]" in capsys.readouterr().out


def test_help_names_the_distributions_whose_commands_are_known_after_an_import_only(
    unnamed: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--help"]) == 0
    assert "`ikto plugins` lists those of acme-ikto, if any" in capsys.readouterr().out
    assert not unnamed.imported("acme-ikto")
    assert run(["top"]) == 0


def test_to_run_a_command_imports_no_other_plugin(acme: Site) -> None:
    acme.install("other-ikto", TOP, entry="other", group="ikto.commands")
    acme.install("third-ikto", TOP)
    assert run(["top"]) == 0
    assert [acme.imported(each) for each in ("acme-ikto", "other-ikto", "third-ikto")] == [True, False, False]


@pytest.mark.usefixtures("acme")
def test_a_plugin_command_runs_like_a_built_in_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top"]) == 0
    assert capsys.readouterr().out == "node-b\n"
    assert run(["top", "--nonsense"]) == 2
    assert "Usage: ikto top" in capsys.readouterr().err
    assert run(["top", "--help"]) == 0
    assert run(["top", "--fail", "code"]) == 3


@pytest.mark.usefixtures("acme")
def test_an_ikto_error_is_one_line_and_its_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top", "--fail", "ikto"]) == 1
    assert capsys.readouterr().err == "ikto: no agent answers (start one)\n"


@pytest.mark.usefixtures("acme")
def test_any_other_error_is_one_line_that_names_the_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["top", "--fail", "\x1bboo"]) == 7
    expected = r"ikto: `ikto top` of acme-ikto 1.5 failed: ValueError: \x1bboo (run `ikto --debug …` for the traceback)"
    assert capsys.readouterr().err == expected + "\n"
    assert run(["--debug", "top", "--fail", "boo"]) == 7
    assert capsys.readouterr().err.startswith("Traceback")


@pytest.mark.usefixtures("acme")
def test_an_unknown_command_is_still_an_invalid_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["topp"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_a_plugin_cannot_replace_a_built_in_command(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    code = "@hookimpl\ndef ikto_register_commands(cli): cli.add_command(click.Command('key', callback=lambda: 1 / 0))"
    site.install("acme-ikto", code)
    site.install("named-ikto", code, entry="key", group="ikto.commands")
    assert run(["key", "--help"]) == 0
    assert not site.imported("acme-ikto")
    assert run(["--help"]) == 0
    assert "named-ikto" not in capsys.readouterr().out
    assert run(["plugins"]) == 0
    listed = capsys.readouterr().out
    assert "added 'key', which is the name of a built-in command" in listed
    assert "'key' is the name of a built-in command, which is used" in listed
    assert not site.imported("named-ikto")


def test_a_broken_plugin_does_not_affect_help_and_is_reported_when_run(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install("acme-ikto", "import sys; sys.exit('I am out')", entry="top")
    assert run(["--help"]) == 0
    assert "  agent " in capsys.readouterr().out
    assert run(["top"]) == 7
    assert "command 'top' of acme-ikto 1.5" in (stderr := capsys.readouterr().err)
    assert "I am out" in stderr


@pytest.mark.parametrize("name", ["acme-ikto", "top"])
def test_the_environment_variable_blocks_plugins(
    acme: Site, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IKTO_BLOCKED_PLUGINS", f"other,{name}")
    assert run(["top"]) == 7
    assert not acme.imported("acme-ikto")
    assert run(["--help"]) == 0
    assert "acme-ikto" not in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["--version"], ["key", "--help"], ["key", "nonsense"]])
def test_no_plugin_is_searched_for_to_run_a_built_in_command(acme: Site, arguments: list[str]) -> None:
    program = (
        f"import sys\nfrom ikto_core.cli.main import run\nrun({arguments!r})\nprint(*sys.modules, file=sys.stderr)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(acme.path), str(Path(__file__).parents[2])])}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    imported = set(done.stderr.split())
    assert not imported & {"acme_ikto_module", "importlib.metadata", "pluggy"}
    assert {name for name in imported if name.startswith("ikto_core.plugins.")} == {
        "ikto_core.plugins.reserved_commands"
    }


ASKED_FOR_NOTHING = [["--help"], ["status", "--help"], ["plugins", "--help"], ["config", "schema", "--help"]]


@pytest.mark.parametrize("arguments", ASKED_FOR_NOTHING)
@pytest.mark.parametrize("group", sorted(GROUPS))
def test_help_imports_no_plugin(site: Site, arguments: list[str], group: str) -> None:
    site.install("acme-ikto", "raise SystemExit('imported')", entry="acme", group=group)
    assert run(arguments) == 0
    assert not site.attempted("acme-ikto")
