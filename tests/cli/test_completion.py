"""Shells complete commands, options and paths by the scripts that `ikto completion` prints."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ikto_core.cli.completion import SCRIPTS
from ikto_core.cli.main import run

BIN = Path(sys.executable).parent
needs_bash = pytest.mark.skipif(not shutil.which("bash") or not (BIN / "ikto").exists(), reason="needs bash and ikto")


def in_bash(line: str) -> list[str]:
    """What bash would offer at the end of a command line."""
    words = line.split(" ")
    array = " ".join(map(shlex.quote, words))
    script = f'compopt() {{ echo "compopt $*"; }}\n{SCRIPTS["bash"]}\n'
    script += f"COMP_WORDS=({array}) COMP_CWORD={len(words) - 1}\n_ikto ikto\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n"
    environ = os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"}
    ran = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, env=environ)
    assert ran.stderr == ""
    return ran.stdout.split("\n")[:-1]


@needs_bash
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ikto sta", ["status"]),
        ("ikto doc", ["doctor"]),
        pytest.param("ikto bucket ", ["create", "show", "sweep", "upgrade"], marks=pytest.mark.slow),
        pytest.param("ikto doctor --p", ["--pre"], marks=pytest.mark.slow),
        pytest.param("ikto agent --log-level w", ["warning"], marks=pytest.mark.slow),
        ("ikto completion ", ["bash", "zsh", "fish"]),
        ("ikto agent -c ", ["compopt -o default", ""]),
        pytest.param("ikto xyzzy", [""], marks=pytest.mark.slow),
    ],
)
def test_bash_completes(line: str, offered: list[str]) -> None:
    assert in_bash(line) == offered


@needs_bash
@pytest.mark.parametrize("shell", [name for name in SCRIPTS if shutil.which(name)])
def test_the_script_is_valid_in_its_shell(shell: str) -> None:
    checked = subprocess.run([shell, "-n"], input=SCRIPTS[shell], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_printed_as_it_is(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert capsys.readouterr().out == SCRIPTS[shell]


def test_no_command_is_imported_to_complete_a_commands_name() -> None:
    code = "import sys; from ikto_core.cli.main import run\ntry: run([])\nfinally: print(*sys.modules, file=sys.stderr)"
    environ = os.environ | {"_IKTO_COMPLETE": "ikto_complete", "COMP_WORDS": "ikto st", "COMP_CWORD": "1"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environ)
    assert ran.stdout.splitlines() == ["plain\tstatus\tShow the agent's status."]
    assert "ikto_core.cli.status" not in ran.stderr.split()
    assert "nats" not in ran.stderr.split()
