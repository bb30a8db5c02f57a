"""What is recorded as promised can be found and called as recorded, and the examples use nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ikto_core.plugins as door
from tools.documents import PROMISED, ROOT, version
from tools.reference.doors import unkept, unpromised
from tools.reference.source import Library

NOW = (PROMISED / f"{version(Library(ROOT))}.txt").read_text().splitlines()
RECORDED = sorted(PROMISED.glob("[0-9]*.txt"))


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_what_is_recorded_is_there_at_run_time(recorded: Path) -> None:
    gone = {line.partition(": ")[2] for line in (PROMISED / "deprecated.txt").read_text().splitlines()}
    lines = recorded.read_text().splitlines()
    assert len(lines) > 1000
    assert set(unkept(lines)) <= gone


@pytest.mark.parametrize(
    "line",
    [
        "offers ikto_core.plugins:gone_for_ever",
        "offers ikto_core.plugins:Prefix.gone: int",
        "offers ikto_core.plugins:Prefix.parse(gone: str)",
        "offers ikto_core.plugins:patched(peer) as argument 2",
        "offers ikto_core.plugins:run_program(ifname) as argument 3",
        "offers ikto_core.plugins:BackendContext.gone: str",
        "offers nonsense",
    ],
)
def test_a_line_that_is_not_kept_is_found(line: str) -> None:
    assert unkept([line, *NOW[:5]]) == [line]


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/**/*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_an_example_uses_what_the_version_that_it_requires_promised(path: Path) -> None:
    project = next(each / "pyproject.toml" for each in path.parents if (each / "pyproject.toml").exists())
    required = re.search(r'"ikto(?:\[\w+\])?>=(\d+\.\d+)', project.read_text())
    lines = (PROMISED / f"{required[1]}.txt").read_text().splitlines() if required else NOW
    assert unpromised(path.read_text(), lines) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from ikto_core.plugins import Backend, Later", ["ikto_core.plugins:Later"]),
        ("from ikto_core.later import Backend", ["ikto_core.later:Backend"]),
        ("import ikto_core.plugins as ikto\nikto.Later", ["ikto_core.plugins:Later"]),
        (
            "from ikto_core.plugins import BackendPlugin as B\nB(name='', later=1, summary='')",
            ["ikto_core.plugins:BackendPlugin(later)"],
        ),
        ("import ikto_core.plugins as ikto\nikto.write_link(later=1)", ["ikto_core.plugins:write_link(later)"]),
        ("from ikto_core.plugins import BackendError as E\nE('', hint='')", []),
        ("from ikto_core.plugins import BackendError as E\nE('', help='')", ["ikto_core.plugins:BackendError(help)"]),
        ("from ikto_core.plugins import Prefix\nPrefix(address=b'', length=3)", []),
    ],
)
def test_what_was_not_promised_is_found(text: str, found: list[str]) -> None:
    assert unpromised(text, NOW) == found


def test_behind_a_restricted_door_a_package_finds_promised_names_only(tmp_path: Path) -> None:
    (tmp_path / "promised.txt").write_text("\n".join(line for line in NOW if "parse_dump" not in line))
    code = """
import ikto_core.plugins
from ikto_core.plugins import Prefix, load_plugins
print(load_plugins().backend("wgtool").name)  # it imports the door itself
for use in ("ikto_core.plugins.parse_dump", "from ikto_core.plugins import parse_dump"):
    try:
        exec(use, {"ikto_core": ikto_core, "__name__": "acme"})
    except (AttributeError, ImportError) as error:
        print(type(error).__name__)
"""
    ran = subprocess.run(
        [sys.executable, "-c", f"import tools.promised_doors\n{code}"],
        capture_output=True, text=True, check=True, timeout=60, cwd=ROOT,
        env={"PROMISED_DOORS": str(tmp_path / "promised.txt"), "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert ran.stdout.split() == ["wgtool", "AttributeError", "ImportError"]


def test_a_name_that_is_recorded_as_deprecated_is_a_warning() -> None:
    recorded = (PROMISED / "deprecated.txt").read_text()
    assert set(re.findall(r"^\d+\.\d+: offers ikto_core\.plugins:(\w+)$", recorded, re.MULTILINE)) == set(
        door._DEPRECATED
    )
