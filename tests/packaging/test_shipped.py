"""What keeps the rest of a system from harming the mesh is shipped, said to be there, and understood by that system."""

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
    made = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", made], cwd=ROOT, check=True, capture_output=True)
    return made


def test_the_wheel_brings_unit_and_drop_in(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (data,) = {name.partition("/")[0] for name in archive.namelist() if ".data/" in name}
        for name in SHIPPED:
            assert archive.read(f"{data}/data/share/ikto/{name}") == (PACKAGING / name).read_bytes()


def test_the_source_distribution_brings_all_of_packaging(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {f"packaging/{path.name}" for path in PACKAGING.iterdir()} <= names


def test_the_drop_in_keeps_networkd_off_foreign_routes_and_rules() -> None:
    parser = RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's names have capitals
    parser.read(DROP_IN)
    assert {name: dict(parser[name]) for name in parser.sections()} == {
        "Network": {"ManageForeignRoutes": "no", "ManageForeignRoutingPolicyRules": "no"}
    }


def test_networkd_knows_every_name_in_the_drop_in() -> None:
    """A name that it does not know it warns of, and goes on as if it were not there."""
    if not NETWORKD.exists():
        pytest.skip(f"needs {NETWORKD} (Debian: systemd)")
    known = NETWORKD.read_bytes()
    for line in DROP_IN.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            assert f"Network.{line.partition('=')[0]}\0".encode() in known, line


@pytest.mark.parametrize("name", SHIPPED[:2])
def test_the_documents_say_where_each_belongs(name: str) -> None:
    assert f"| `{name}` | `/" in (PACKAGING / "README.md").read_text()
    assert "](../packaging)" in (ROOT / "docs/operations.md").read_text()
