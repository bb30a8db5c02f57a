"""The locks are complete, agree with each other, and tell nothing of the machine that made them."""

from importlib.metadata import requires, version
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.packaging.locks import NAMES, REQUIREMENTS, pins, wanted


class Need(NamedTuple):
    """A requirement, and the extras of the package that has it."""

    requirement: Requirement
    extras: frozenset[str] = frozenset()

    @property
    def applies(self) -> bool:
        marker = self.requirement.marker
        return marker is None or any(marker.evaluate({"extra": extra}) for extra in self.extras or {""})


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_a_pin_with_hashes_and_no_address(name: str) -> None:
    assert "://" not in (REQUIREMENTS / f"{name}.txt").read_text()
    for pin in pins(name).values():
        assert pin.version
        assert pin.hashes, pin
        assert not pin.requirement.url


@pytest.mark.parametrize("name", ["build", "run"])
def test_develop_pins_the_same_versions(name: str) -> None:
    develop = pins("develop")
    assert {pin.name: pin.version for pin in pins(name).values()} == {key: develop[key].version for key in pins(name)}


def test_these_tests_run_with_what_is_pinned() -> None:
    applying = {pin.name: pin.version for pin in pins("develop").values() if pin.applies}
    assert {name: version(name) for name in applying} == applying, "`make test` installs it"


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_needed_in_turn_is_pinned_in_a_version_that_will_do(name: str) -> None:
    """What needs what is asked of the environment, which has what is pinned."""
    locked, done = pins(name), set[str]()
    todo = [Need(requirement) for requirement in wanted(name)]
    while todo:
        need = todo.pop()
        if not need.applies or str(need) in done:
            continue
        done.add(str(need))
        pin = locked[canonicalize_name(need.requirement.name)]
        assert need.requirement.specifier.contains(pin.version), (need, pin)
        extras = frozenset(need.requirement.extras)
        todo += [Need(Requirement(line), extras) for line in requires(pin.name) or ()]
