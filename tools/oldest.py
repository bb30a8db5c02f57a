"""Print the oldest version of each dependency that Ikto's ranges allow, as constraints for pip."""

import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]


def oldest(requirements: Iterable[str]) -> Iterator[str]:
    """Yield a pin of each requirement's lower bound. Raises ValueError for one that has none."""
    for requirement in map(Requirement, requirements):
        (bound,) = (each.version for each in requirement.specifier if each.operator == ">=")
        yield f"{requirement.name}=={bound}"


def main() -> None:
    """Print those of the dependencies and of all extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    print(*oldest([*project["dependencies"], *(line for extra in extras for line in extra)]), sep="\n")  # noqa: T201


if __name__ == "__main__":
    main()
