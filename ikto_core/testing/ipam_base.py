"""What the tests of every clause share: the fixture, the promises to declare, and how candidates are drawn."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import ClassVar

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from ikto_core.errors import IktoError
from ikto_core.ipam.contract import IpamPlugin, IpamRequest, IpamStrategy
from ikto_core.testing.clauses import clause_of
from ikto_core.testing.ipam_clauses import IPAM_CLAUSES
from ikto_core.testing.ipam_requests import HUGE, ask, nine_tenths, small_requests
from ikto_core.testing.ipam_work_limit import line_limit
from ikto_core.values.addressing import Prefix

Check = Callable[[IpamRequest, Sequence[Prefix]], None]

LINES_PER_REQUEST, LINES_PER_TAKEN, LINES_PER_CANDIDATE = 5_000, 200, 2_000
"""How much Python a strategy may run: several times what the dearest of the built-in ones does."""


class IpamBase:
    """The fixture to give, and what a strategy may declare."""

    unsupported: ClassVar[Mapping[str, str]] = {}  # clause -> why this strategy can't keep it; its tests are skipped
    deterministic: ClassVar[bool] = False  # whether it promises to draw nothing from `random`
    names: ClassVar[Sequence[str]] = ("node-7", "node-8")  # of nodes that it serves
    unservable: ClassVar[Sequence[str]] = ()  # names of nodes that it must refuse
    examples: ClassVar[settings] = settings(max_examples=50)  # of small meshes

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        """Return what makes the strategy: the one fixture that must be given."""
        pytest.fail("give the fixture `plugin`: the IpamPlugin whose strategy is to be tested")

    @pytest.fixture(autouse=True)
    def _supported(self, request: pytest.FixtureRequest) -> None:
        name = clause_of(request.function)
        if unknown := self.unsupported.keys() - IPAM_CLAUSES.keys():
            pytest.fail(f"`unsupported` names no clause of the contract: {sorted(unknown)}")
        if name in self.unsupported:
            pytest.skip(f"{name} is not supported: {self.unsupported[name]}")

    def _on_every_mesh(self, plugin: IpamPlugin, check: Check) -> None:
        """Check what is offered in small meshes, and the beginning of what is offered in huge ones."""
        self._on_small_meshes(plugin, check)
        for mesh, length in HUGE:
            for taken in ((), nine_tenths(Prefix.parse(mesh))):
                for name in self.names:
                    asked = ask(mesh, length, taken, name=name)
                    check(asked, first_candidates(plugin.make(), asked, 200, patience=10))

    def _on_small_meshes(self, plugin: IpamPlugin, check: Check) -> None:
        """Check all that is offered in any mesh of at most 256 subnets."""

        @self.examples
        @given(small_requests())
        def holds(request: IpamRequest) -> None:
            for name in self.names:
                asked = replace(request, name=name)
                check(asked, first_candidates(plugin.make(), asked, 300, patience=10))

        holds()


def first_candidates(strategy: IpamStrategy, asked: IpamRequest, count: int, *, patience: int = 1) -> list[Prefix]:
    """Return the first candidates; none from a strategy that can't serve who asks.

    Raises TooMuchWorkError if they cost more than the contract allows, `patience` times over.
    """
    lines = LINES_PER_REQUEST + LINES_PER_TAKEN * len(asked.taken) + LINES_PER_CANDIDATE * count
    found: list[Prefix] = []
    with line_limit(lines * patience), suppress(IktoError):
        found.extend(islice(strategy.candidates(asked), count))
    return found


def refusal_of(strategy: IpamStrategy, name: str) -> IktoError | None:
    """Return the error of a node that is not served, in a mesh with room for everybody; None: it is served."""
    try:
        list(islice(strategy.candidates(ask("fd10::/16", 48, name=name)), 1))
    except IktoError as error:
        if not str(error) or not error.hint:
            raise AssertionError(f"there is no hint with {error}, which {name!r} gets") from error
        return error
    return None
