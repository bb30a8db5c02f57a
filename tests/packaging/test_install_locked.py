"""`make` installs exactly what the locks pin, whatever the index has by then."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest

from tests.packaging.local_index import Index, serving
from tests.packaging.locks import NAMES, ROOT, Pin, pins

SCRIPT = ROOT / "tools/install-locked.sh"
NEWER = "9999"
INSTALLED = """
import importlib.metadata, json
print(json.dumps({found.name: found.version for found in importlib.metadata.distributions() if found.name != "pip"}))
"""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    (tmp_path / "index").mkdir()
    with serving(Index(tmp_path / "index")) as index:
        index.add("unlocked", "1")
        yield index


def run(index: Index, *command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command that knows of one index only."""
    ours = ("PIP_", "MAKE", "MFLAGS", "COVERAGE_", "COV_")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env |= {"PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1", "NO_PROXY": "127.0.0.1"}
    env |= {"PYTHON": sys.executable}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def installed(venv: Path) -> Mapping[str, str]:
    done = subprocess.run([venv / "bin/python", "-c", INSTALLED], check=True, capture_output=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def add_with_newer(index: Index, pin: Pin) -> str:
    """Add the pinned version, with the dependencies and extras that it has, and a newer one that wants more."""
    requires, extras = list[str](), list[str]()
    try:
        real = metadata(pin.name)
    except PackageNotFoundError:  # it is of another platform
        pass
    else:
        requires, extras = real.get_all("Requires-Dist") or [], real.get_all("Provides-Extra") or []
    index.add(pin.name, NEWER, [*requires, "unlocked"], extras)
    return index.add(pin.name, pin.version, requires, extras)


def write_locks(directory: Path, index: Index) -> Mapping[str, Pin]:
    """Write locks like Ikto's, of wheels that the index has; return what the longest one pins."""
    develop = pins("develop")
    lines = {name: add_with_newer(index, pin) for name, pin in develop.items()}
    directory.mkdir()
    for name in NAMES:
        lock = "".join(with_marker(lines[pin.name], pin) for pin in pins(name).values())
        (directory / f"{name}.txt").write_text(lock)
    return develop


def with_marker(line: str, pin: Pin) -> str:
    """Return a line of a lock that holds where the pin does: a lock may need a package where another doesn't."""
    marker = f" ; {pin.requirement.marker}" if pin.requirement.marker else ""
    return line.replace(" --hash", f"{marker} --hash") + "\n"


def make(index: Index, tmp_path: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    """Run the targets of the Makefile, with an environment and locks of the test; Ikto itself is left out."""
    stamps = [tmp_path / "venv" / target for target in targets]
    return run(index, "make", f"VENV={tmp_path}/venv", f"REQUIREMENTS={tmp_path}/locks", "PROJECT=", *stamps)


@pytest.mark.skipif(shutil.which("make") is None, reason="not installed: make")
@pytest.mark.slow
def test_what_is_pinned_is_installed_though_all_of_it_has_newer_versions(tmp_path: Path, index: Index) -> None:
    develop = write_locks(tmp_path / "locks", index)
    for target, locks in ((".ready-to-run", ("build", "run")), (".ready-to-develop", NAMES)):
        done = make(index, tmp_path, target)
        assert done.returncode == 0, done.stderr
        names = {name for lock in locks for name, pin in pins(lock).items() if pin.applies}
        assert installed(tmp_path / "venv") == {name: develop[name].version for name in names}
    assert index.asked <= develop.keys()


@pytest.mark.skipif(shutil.which("make") is None, reason="not installed: make")
@pytest.mark.slow
def test_an_install_that_failed_is_begun_anew_by_the_next_make(tmp_path: Path, index: Index) -> None:
    lines = {name: index.add(name, "1") + "\n" for name in NAMES}
    (tmp_path / "locks").mkdir()
    for name, line in lines.items():
        (tmp_path / f"locks/{name}.txt").write_text(line)
    lock = tmp_path / "locks/develop.txt"
    lock.write_text(lines["develop"] + index.add("broken", "1")[:-8] + 8 * "0" + "\n")
    assert make(index, tmp_path, ".ready-to-develop").returncode
    (tmp_path / "venv/half").touch()
    lock.write_text(lines["develop"])
    assert make(index, tmp_path, ".ready-to-develop").returncode == 0
    assert not (tmp_path / "venv/half").exists()
    assert make(index, tmp_path, ".ready-to-run").returncode == 0
    assert installed(tmp_path / "venv") == dict.fromkeys(NAMES, "1")


def test_what_a_lock_forgot_is_named_and_not_fetched(tmp_path: Path, index: Index) -> None:
    """With any pip: to fetch it would be to resolve."""
    lock = tmp_path / "lock.txt"
    lock.write_text(index.add("forgetful", "1", ["unlocked"]))
    done = run(index, SCRIPT, tmp_path / "venv", lock)
    assert done.returncode
    assert "forgetful 1 requires unlocked, which is not installed" in done.stdout
    assert index.asked == {"forgetful"}


def test_a_package_whose_hash_is_another_is_refused(tmp_path: Path, index: Index) -> None:
    lock = tmp_path / "lock.txt"
    lock.write_text(index.add("changed", "1")[:-8] + 8 * "0")
    done = run(index, SCRIPT, tmp_path / "venv", lock)
    assert done.returncode
    assert "DO NOT MATCH" in done.stderr
    assert installed(tmp_path / "venv") == {}


@pytest.mark.slow
def test_a_lock_that_changed_takes_the_place_of_the_earlier_one(tmp_path: Path, index: Index) -> None:
    lock = tmp_path / "lock.txt"
    for version in ("1", "3", "2"):
        lock.write_text(index.add("renewed", version))
        assert run(index, SCRIPT, tmp_path / "venv", lock).returncode == 0
        assert installed(tmp_path / "venv") == {"renewed": version}
    lock.write_text(index.add("other", "1"))
    assert run(index, SCRIPT, tmp_path / "venv", lock).returncode == 0
    assert installed(tmp_path / "venv") == {"other": "1"}, "what a lock has dropped is gone"
