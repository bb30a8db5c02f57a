"""Missing system packages are installed by root, named to everybody else, and stop nobody."""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "packaging/system-packages.sh"

APT_GET = """
echo "apt-get $*" >>"$CALLS"
case " $BROKEN " in *" $1 "*) echo "E: $1 does not work today" >&2; exit 100 ;; esac
"""
DPKG_QUERY = """
case " $INSTALLED " in *" ${@: -1} "*) printf installed ;; *) exit 1 ;; esac
"""
PATIENCE = " -o "


class Done(NamedTuple):
    status: int
    said: str
    apt: list[str]  # what apt-get was asked to do, without the options about its patience


class Machine:
    """A PATH with stand-ins for the system's programs."""

    def __init__(self, directory: Path) -> None:
        self.programs = directory / "bin"
        self.programs.mkdir()
        self.calls = directory / "calls"
        for name in ("bash", "env", "grep", "mktemp", "rm", "sh", "tail", "touch"):
            found = shutil.which(name)
            assert found
            (self.programs / name).symlink_to(found)
        self.has("apt-get", APT_GET)
        self.has("dpkg-query", DPKG_QUERY)

    def has(self, name: str, does: str = "") -> None:
        (self.programs / name).write_text(f"#!/bin/bash\n{does}")
        (self.programs / name).chmod(0o755)

    def run(self, *command: str | Path, uid: int = 0, broken: str = "", installed: str = "") -> Done:
        self.has("id", f"echo {uid}")
        self.calls.write_text("")
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={"PATH": str(self.programs), "CALLS": str(self.calls), "BROKEN": broken, "INSTALLED": installed},
            capture_output=True,
            text=True,
            check=False,
        )
        calls = [call.partition(PATIENCE)[0] for call in self.calls.read_text().splitlines()]
        return Done(done.returncode, done.stderr + done.stdout, calls)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


WANTED = ("tools:ikto-prog-1", "daemon:ikto-prog-2", "library")
INSTALL = "apt-get install --yes --no-install-recommends"


def test_where_nothing_is_missing_nothing_is_done_or_said(machine: Machine) -> None:
    machine.has("ikto-prog-1")
    machine.has("ikto-prog-2")
    assert machine.run(SCRIPT, *WANTED, installed="library") == (0, "", [])


def test_root_installs_exactly_what_is_missing_and_says_which(machine: Machine) -> None:
    machine.has("ikto-prog-1")
    done = machine.run(SCRIPT, *WANTED)
    assert done.status == 0
    assert done.said == "system packages: installing daemon library\n"
    assert done.apt == ["apt-get update", f"{INSTALL} daemon library"]


def test_others_are_told_the_command_that_root_would_run(machine: Machine) -> None:
    done = machine.run(SCRIPT, *WANTED, uid=1000)
    assert done.status == 1
    assert done.apt == []
    command = done.said.strip().partition("to install: ")[2]
    machine.has("sudo", 'exec "$@"')
    assert machine.run("sh", "-c", command).apt == machine.run(SCRIPT, *WANTED).apt


def test_a_failing_apt_is_told_with_its_reason_and_the_command_to_try_again(machine: Machine) -> None:
    done = machine.run(SCRIPT, *WANTED, broken="update install")
    assert done.status == 1
    assert "E: install does not work today" in done.said
    assert machine.run("sh", "-c", done.said.strip().partition("to try again: ")[2]).apt == done.apt


def test_lists_that_cannot_be_renewed_may_do(machine: Machine) -> None:
    done = machine.run(SCRIPT, *WANTED, broken="update")
    assert done.status == 0
    assert done.apt[-1] == f"{INSTALL} tools daemon library"


def test_without_apt_the_packages_are_named(machine: Machine) -> None:
    (machine.programs / "apt-get").unlink()
    done = machine.run(SCRIPT, *WANTED, installed="library")
    assert done.status == 1
    assert done.said == "system packages: going on without these (Debian's names): tools daemon\n"


@pytest.mark.skipif(shutil.which("make") is None, reason="not installed: make")
def test_make_demo_looks_until_nothing_is_missing_and_goes_on_either_way(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/.ready").touch()
    (machine.programs / "make").symlink_to(shutil.which("make") or "")
    machine.has("../venv/bin/ikto", 'echo "ikto $*"')
    demo = ("make", "--silent", "demo", f"VENV={tmp_path}/venv", "ARGS=--keep")
    failing = machine.run(*demo, broken="install")
    assert failing.status == 0
    assert "going on without" in failing.said
    assert failing.said.endswith("\nikto demo --keep\n")
    assert "installing" in machine.run(*demo).said
    assert machine.run(*demo) == (0, "ikto demo --keep\n", [])
