"""What pyproject.toml asks for and what the locks pin."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
REQUIREMENTS = ROOT / "requirements"
NAMES = ("build", "run", "develop")
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


class Pin(NamedTuple):
    """A line of a lock, with the lines that go on from it."""

    requirement: Requirement
    hashes: int

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        (specifier,) = self.requirement.specifier
        assert specifier.operator == "=="
        return specifier.version

    @property
    def applies(self) -> bool:
        """Whether it is for this platform and this Python."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def pins(name: str) -> dict[str, Pin]:
    """Return what the lock of that name pins. Raises InvalidRequirement for a line that is no pin."""
    lines = (REQUIREMENTS / f"{name}.txt").read_text().replace("\\\n", "").splitlines()
    found = [_pin(line) for line in lines if not line.startswith("#")]
    assert len({pin.name for pin in found}) == len(found)
    return {pin.name: pin for pin in found}


def _pin(line: str) -> Pin:
    return Pin(Requirement(_HASH.sub("", line).strip()), len(_HASH.findall(line)))


def wanted(name: str) -> list[Requirement]:
    """Return the requirements in pyproject.toml that the lock of that name is made from."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups, project = pyproject["dependency-groups"], pyproject["project"]
    extras = project["optional-dependencies"]
    running = [*project["dependencies"], *extras["server"]]
    developing = [*running, *extras["websocket"], *_group(groups, "dev")]
    wanted = {"build": _group(groups, "build"), "run": running, "develop": developing}
    return [Requirement(line) for line in wanted[name]]


def _group(groups: dict[str, list[Any]], name: str) -> Iterator[str]:
    for entry in groups[name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _group(groups, entry["include-group"])
