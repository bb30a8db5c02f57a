"""The systemd units and the networkd drop-in are packaged, documented and valid."""

import subprocess
import sys
import tarfile
import zipfile
from configparser import RawConfigParser
from pathlib import Path
from shutil import which

import click
import pytest

from ikto_core.cli.main import cli

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
DROP_IN = PACKAGING / "networkd-ikto.conf"
NETWORKD = Path("/usr/lib/systemd/systemd-networkd")
UNITS = (
    "ikto.service",
    "ikto@.service",
    "ikto-online.target",
    "ikto-wait-online.service",
    "ikto-wait-online@.service",
)
SHIPPED = (*UNITS, "networkd-ikto.conf", "README.md", "alerts.yml", "grafana-dashboard.json")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel and the source distribution."""
    directory = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", directory], cwd=ROOT, check=True, capture_output=True
    )
    return directory


def test_the_wheel_contains_unit_and_drop_in(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (data,) = {name.partition("/")[0] for name in archive.namelist() if ".data/" in name}
        for name in SHIPPED:
            assert archive.read(f"{data}/data/share/ikto/{name}") == (PACKAGING / name).read_bytes()


def test_the_wheel_contains_manual_pages_and_scripts_for_shells(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name.partition("/data/")[2] for name in archive.namelist()}
    assert {f"share/man/man1/{path.name}" for path in (PACKAGING / "man").iterdir()} <= names
    assert {
        "share/bash-completion/completions/ikto",
        "share/zsh/site-functions/_ikto",
        "share/fish/vendor_completions.d/ikto.fish",
    } <= names


def test_the_source_distribution_contains_all_of_packaging(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {str(path.relative_to(ROOT)) for path in PACKAGING.rglob("*") if path.is_file()} <= names


def test_the_drop_in_stops_networkd_from_managing_foreign_routes_and_rules() -> None:
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    parser.read(DROP_IN)
    assert {name: dict(parser[name]) for name in parser.sections()} == {
        "Network": {"ManageForeignRoutes": "no", "ManageForeignRoutingPolicyRules": "no"}
    }


def test_networkd_supports_every_setting_in_the_drop_in() -> None:
    """It would only warn of an unknown setting, and ignore it."""
    if not NETWORKD.exists():
        pytest.skip(f"needs {NETWORKD} (Debian: systemd)")
    known = NETWORKD.read_bytes()
    for line in DROP_IN.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            assert f"Network.{line.partition('=')[0]}\0".encode() in known, line


@pytest.mark.parametrize("name", [*UNITS, "networkd-ikto.conf"])
def test_the_documentation_says_where_to_install_each_file(name: str) -> None:
    assert f"| `{name}` | `/" in (PACKAGING / "README.md").read_text()
    assert "](../packaging)" in (ROOT / "docs/operations.md").read_text()


def lines(name: str) -> list[str]:
    """Return the lines of a unit that are no comments."""
    return [line for line in (PACKAGING / name).read_text().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize("name", ["ikto.service", "ikto-wait-online.service"])
def test_the_unit_of_one_of_several_meshes_differs_only_in_names(name: str) -> None:
    pairs = zip(lines(name), lines(name.replace(".", "@.")), strict=True)
    different = [(one, each) for one, each in pairs if one != each]
    assert {one.partition("=")[0] for one, _ in different} <= {"Description", "ExecStart", "Requires", "After"}
    for one, each in different:
        if one.startswith("ExecStart="):
            assert each == one.replace("/config.json", "/%i.json").replace("/ikto.sock", "/%i.sock")
        elif one.startswith(("Requires=", "After=")):
            assert each == one.replace("ikto.service", "ikto@%i.service")


def test_the_wait_for_the_mesh_is_between_the_agent_and_the_target() -> None:
    unit = lines("ikto-wait-online.service")
    for line in (
        "Requires=ikto.service",
        "After=ikto.service",
        "Before=ikto-online.target",
        "WantedBy=ikto-online.target",
    ):
        assert line in unit


@pytest.mark.parametrize("name", UNITS)
def test_the_commands_in_units_exist(name: str) -> None:
    for line in lines(name):
        if line.startswith("ExecStart="):
            program, command, *options = line.removeprefix("ExecStart=").split()
            assert program == "/usr/bin/ikto"
            found = cli.get_command(click.Context(cli), command)
            assert found
            known = {flag for option in found.params for flag in option.opts}
            assert {option for option in options if option.startswith("-")} <= known


def test_systemd_analyze_accepts_all_units_together(tmp_path: Path) -> None:
    if not which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    for name in UNITS:
        text = (PACKAGING / name).read_text().replace("/usr/bin/ikto ", f"{which('true') or '/bin/true'} ")
        (tmp_path / name).write_text(text)
    units = [tmp_path / name.replace("@.", "@blue.") for name in UNITS]
    run = subprocess.run(
        ["systemd-analyze", "verify", *units],
        check=False,
        capture_output=True,
        text=True,
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    assert (run.returncode, run.stdout + run.stderr) == (0, "")
