"""system-packages.sh: root installs missing packages, other users get the command, and `make` continues either way."""

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
TIMEOUT_OPTIONS = " -o "


class Done(NamedTuple):
    status: int
    output: str
    apt: list[str]  # the calls of apt-get, without its timeout options


class Machine:
    """A PATH with substitutes for the system's programs."""

    def __init__(self, directory: Path) -> None:
        self.programs = directory / "bin"
        self.programs.mkdir()
        self.calls = directory / "calls"
        for name in ("bash", "env", "grep", "mktemp", "rm", "sh", "tail", "touch"):
            found = shutil.which(name)
            assert found
            (self.programs / name).symlink_to(found)
        self.add_program("apt-get", APT_GET)
        self.add_program("dpkg-query", DPKG_QUERY)

    def add_program(self, name: str, body: str = "") -> None:
        (self.programs / name).write_text(f"#!/bin/bash\n{body}")
        (self.programs / name).chmod(0o755)

    def run(self, *command: str | Path, uid: int = 0, broken: str = "", installed: str = "") -> Done:
        self.add_program("id", f"echo {uid}")
        self.calls.write_text("")
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={"PATH": str(self.programs), "CALLS": str(self.calls), "BROKEN": broken, "INSTALLED": installed},
            capture_output=True,
            text=True,
            check=False,
        )
        calls = [call.partition(TIMEOUT_OPTIONS)[0] for call in self.calls.read_text().splitlines()]
        return Done(done.returncode, done.stderr + done.stdout, calls)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PACKAGES = ("tools:ikto-prog-1", "daemon:ikto-prog-2", "library")
INSTALL = "apt-get install --yes --no-install-recommends"


def test_without_missing_packages_nothing_is_done_or_printed(machine: Machine) -> None:
    machine.add_program("ikto-prog-1")
    machine.add_program("ikto-prog-2")
    assert machine.run(SCRIPT, *PACKAGES, installed="library") == (0, "", [])


def test_root_installs_the_missing_packages_and_names_them(machine: Machine) -> None:
    machine.add_program("ikto-prog-1")
    done = machine.run(SCRIPT, *PACKAGES)
    assert done.status == 0
    assert done.output == "system packages: installing daemon library\n"
    assert done.apt == ["apt-get update", f"{INSTALL} daemon library"]


def test_other_users_get_the_command_that_root_would_run(machine: Machine) -> None:
    done = machine.run(SCRIPT, *PACKAGES, uid=1000)
    assert done.status == 1
    assert done.apt == []
    command = done.output.strip().partition("to install: ")[2]
    machine.add_program("sudo", 'exec "$@"')
    assert machine.run("sh", "-c", command).apt == machine.run(SCRIPT, *PACKAGES).apt


def test_a_failure_of_apt_is_reported_with_its_reason_and_the_command_to_try_again(machine: Machine) -> None:
    done = machine.run(SCRIPT, *PACKAGES, broken="update install")
    assert done.status == 1
    assert "E: install does not work today" in done.output
    assert machine.run("sh", "-c", done.output.strip().partition("to try again: ")[2]).apt == done.apt


def test_a_failed_update_of_package_lists_is_not_fatal(machine: Machine) -> None:
    done = machine.run(SCRIPT, *PACKAGES, broken="update")
    assert done.status == 0
    assert done.apt[-1] == f"{INSTALL} tools daemon library"


def test_without_apt_the_missing_packages_are_named(machine: Machine) -> None:
    (machine.programs / "apt-get").unlink()
    done = machine.run(SCRIPT, *PACKAGES, installed="library")
    assert done.status == 1
    assert done.output == "system packages: continuing without (Debian package names): tools daemon\n"


@pytest.mark.skipif(shutil.which("make") is None, reason="not installed: make")
def test_make_demo_checks_packages_until_none_is_missing_and_continues_either_way(
    machine: Machine, tmp_path: Path
) -> None:
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/.ready-to-run").touch()
    (machine.programs / "make").symlink_to(shutil.which("make") or "")
    machine.add_program("../venv/bin/ikto", 'echo "ikto $*"')
    demo = ("make", "--silent", "demo", f"VENV={tmp_path}/venv", "ARGS=--keep")
    failing = machine.run(*demo, broken="install")
    assert failing.status == 0
    assert "continuing without" in failing.output
    assert failing.output.endswith("\nikto demo --keep\n")
    assert "installing" in machine.run(*demo).output
    assert machine.run(*demo) == (0, "ikto demo --keep\n", [])
