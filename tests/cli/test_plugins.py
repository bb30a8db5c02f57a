"""`ikto plugins` lists the installed plugins and their status, as a table, aligned text or JSON."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ikto_core import __version__
from ikto_core.cli.plugins import plugins
from ikto_core.errors import ConfigError
from tests.plugin_site import AGING, AGING_USE, Site

HOSTILE = "\x1b[31m[bold]boo\x07\x7f\x9b"


@pytest.fixture
def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A distribution whose plugin fails with a message of terminal control sequences."""
    (tmp_path / "acme_cli_module.py").write_text(f"raise RuntimeError({HOSTILE!r})\n")
    info = tmp_path / "acme_ikto-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-ikto\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[ikto]\nacme = acme_cli_module\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def run(*arguments: str) -> str:
    result = CliRunner().invoke(plugins, arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_json_is_a_list_of_objects() -> None:
    rows = json.loads(run("--json"))
    expected = {
        "kind": "backend",
        "name": "fake",
        "distribution": "ikto",
        "version": __version__,
        "status": "ok",
        "reason": "",
        "deprecated": [],
    }
    assert expected in rows
    assert all(row.keys() == expected.keys() for row in rows)


def test_a_pipe_gets_aligned_columns() -> None:
    header, *lines = run().splitlines()
    assert header.split() == ["NAME", "KIND", "DISTRIBUTION", "VERSION", "STATUS", "REASON"]
    column = header.index("STATUS")
    assert {line[column:].split()[0] for line in lines} == {"ok"}
    assert ["fake", "backend", "ikto", __version__, "ok"] in [line.split() for line in lines]


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("option", [(), ("--json",)])
def test_a_broken_plugin_is_listed_with_its_reason_escaped(option: tuple[str, ...]) -> None:
    output = run(*option)
    assert "acme-ikto" in output
    assert "failed" in output
    assert "[bold]boo" in output
    assert all(character.isprintable() for character in output.replace("\n", ""))


def blocked(*arguments: str) -> list[str]:
    rows = json.loads(run("--json", *arguments))
    return [row["name"] for row in rows if row["status"] == "blocked"]


def test_plugins_blocked_by_the_configuration_are_listed_as_blocked(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"blocked_plugins": ["fake", "random"], "wg_port": "invalid, but not read here"}')
    assert blocked("-c", str(path)) == ["fake", "random"]  # sorted by kind: backend, ipam
    assert blocked() == []


def test_plugins_blocked_by_the_environment_are_listed_as_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKTO_BLOCKED_PLUGINS", "ikto")
    assert set(blocked()) >= {"fake", "netlink", "wgtool", "random"}


def test_an_invalid_list_of_names_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"blocked_plugins": ["a b"]}')
    result = CliRunner().invoke(plugins, ["-c", str(path)])
    assert isinstance(result.exception, ConfigError)
    assert 'blocked_plugins: "a b" is not a plugin\'s name' in str(result.exception)


def test_a_reason_in_json_is_unchanged_when_decoded(broken: Path) -> None:
    assert broken.exists()
    reasons = [row["reason"] for row in json.loads(run("--json")) if row["name"] == "acme"]
    assert reasons == [f"import raised RuntimeError: {HOSTILE}"]


def test_a_terminal_gets_a_table_in_which_markup_is_not_interpreted(broken: Path) -> None:
    controller, terminal = pty.openpty()
    code = "from ikto_core.cli.plugins import plugins; plugins()"
    environment = os.environ | {"PYTHONPATH": str(broken), "COLUMNS": "200", "TERM": "xterm", "NO_COLOR": ""}
    with subprocess.Popen([sys.executable, "-c", code], stdout=terminal, env=environment) as process:
        os.close(terminal)
        output = read_all(controller)
    assert process.returncode == 0
    assert "\x1b[32mok" in output
    assert r"\x1b[31m[bold]boo\x07\x7f\x9b" in output
    assert "\x07" not in output


def read_all(descriptor: int) -> str:
    """Read a pseudo-terminal until its last writer closes it, which Linux reports as an error."""
    parts = []
    try:
        while part := os.read(descriptor, 4096):
            parts.append(part)
    except OSError:
        pass
    finally:
        os.close(descriptor)
    return b"".join(parts).decode()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_plugin_that_uses_what_is_deprecated_is_ok_and_listed_with_what_it_uses(site: Site) -> None:
    site.install("acme-ikto", f"{AGING}@hookimpl\ndef ikto_register_backends(): yield backend('acme')")
    (row,) = [row for row in json.loads(run("--json")) if row["distribution"] == "acme-ikto"]
    assert (row["status"], row["reason"], row["deprecated"]) == ("ok", "", [AGING_USE])
    site.monkeypatch.delitem(sys.modules, "acme_ikto_module")  # another process, in which it is imported again
    (shown,) = [line for line in run().splitlines() if line.startswith("acme ")]
    assert shown.split("  ")[-1].strip() == AGING_USE
