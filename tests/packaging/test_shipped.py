"""The systemd unit and the networkd drop-in are packaged, documented and valid."""

import subprocess
import sys
import tarfile
import zipfile
from configparser import RawConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
DROP_IN = PACKAGING / "networkd-ikto.conf"
NETWORKD = Path("/usr/lib/systemd/systemd-networkd")
SHIPPED = ("ikto.service", "networkd-ikto.conf", "README.md")


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


def test_the_source_distribution_contains_all_of_packaging(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"packaging/{path.name}" for path in PACKAGING.iterdir()} <= names


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


@pytest.mark.parametrize("name", SHIPPED[:2])
def test_the_documentation_says_where_to_install_each_file(name: str) -> None:
    assert f"| `{name}` | `/" in (PACKAGING / "README.md").read_text()
    assert "](../packaging)" in (ROOT / "docs/operations.md").read_text()
