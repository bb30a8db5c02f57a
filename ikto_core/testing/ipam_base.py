"""The base of the IPAM kit: its fixture, its settings, and helpers that draw candidates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
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
"""How many lines of Python a strategy may run: several times what the slowest built-in strategy needs."""


class IpamBase:
    """The fixture and the settings of the kit."""

    unsupported: ClassVar[Mapping[str, str]] = {}  # clause -> why the strategy does not keep it; its tests are skipped
    deterministic: ClassVar[bool] = False  # True if the strategy draws nothing from `request.random`
    names: ClassVar[Sequence[str]] = ("node-7", "node-8")  # node names that the strategy serves
    unservable: ClassVar[Sequence[str]] = ()  # node names that the strategy must refuse
    examples: ClassVar[settings] = settings(max_examples=50)  # Hypothesis settings for small meshes

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        """Return the plugin that makes the strategy. This fixture must be overridden."""
        pytest.fail("override the fixture `plugin`: return the IpamPlugin to test")

    hung: str = ""  # the failure of a test that did not end
    hung_before: ClassVar[str] = ""  # the same, of an earlier test of this class

    @pytest.fixture(autouse=True)
    def _stop_after_a_hang(self) -> Iterator[None]:
        """Skip the tests after one that did not end: each would wait again."""
        kit = type(self)
        if earlier := kit.hung_before:
            pytest.skip(f"not run, because an earlier test failed: {earlier}")
        yield
        if self.hung:
            kit.hung_before = self.hung

    @pytest.fixture(autouse=True)
    def _skip_unsupported(self, request: pytest.FixtureRequest) -> None:
        name = clause_of(request.function)
        if unknown := self.unsupported.keys() - IPAM_CLAUSES.keys():
            pytest.fail(f"`unsupported` names unknown clauses: {sorted(unknown)}")
        if name in self.unsupported:
            pytest.skip(f"{name} is not supported: {self.unsupported[name]}")

    def _on_every_mesh(self, plugin: IpamPlugin, check: Check) -> None:
        """Check all candidates in small meshes, and the first 200 in huge ones."""
        self._on_small_meshes(plugin, check)
        for mesh, length in HUGE:
            for taken in ((), nine_tenths(Prefix.parse(mesh))):
                for name in self.names:
                    request = ask(mesh, length, taken, name=name)
                    check(request, first_candidates(plugin.make(), request, 50, patience=10))

    def _on_small_meshes(self, plugin: IpamPlugin, check: Check) -> None:
        """Check all candidates in any mesh of at most 256 subnets."""

        @self.examples
        @given(small_requests())
        def check_all_names(drawn: IpamRequest) -> None:
            for name in self.names:
                request = replace(drawn, name=name)
                check(request, first_candidates(plugin.make(), request, 300, patience=10))

        check_all_names()


def first_candidates(strategy: IpamStrategy, request: IpamRequest, count: int, *, patience: int = 1) -> list[Prefix]:
    """Return the first candidates; an empty list if the strategy refuses the request.

    Raises TooMuchWorkError if they take more than `patience` times the lines of Python that the contract allows.
    """
    lines = LINES_PER_REQUEST + LINES_PER_TAKEN * len(request.taken) + LINES_PER_CANDIDATE * count
    found: list[Prefix] = []
    package = type(strategy).__module__.partition(".")[0]
    with line_limit(lines * patience, package), suppress(IktoError):
        found.extend(islice(strategy.candidates(request), count))
    return found


MESHES = (("fd10::/16", 48), ("10.0.0.0/8", 24))
"""Empty meshes in which every name is served, or refused with an error."""


def refusal_of(strategy: IpamStrategy, name: str, mesh: str = "fd10::/16", length: int = 48) -> IktoError | None:
    """Return the error for a node name in an empty mesh; None if the strategy serves it.

    Raises AssertionError if the error has no hint, and if there is neither a candidate nor an error.
    """
    package = type(strategy).__module__.partition(".")[0]
    try:
        with line_limit(10 * (LINES_PER_REQUEST + LINES_PER_CANDIDATE), package):
            found = list(islice(strategy.candidates(ask(mesh, length, name=name)), 1))
    except IktoError as error:
        if not str(error) or not error.hint:
            raise AssertionError(f"the error for {name!r} has no message or no hint: {error}") from error
        return error
    if not found:
        raise AssertionError(f"{name!r} gets no candidate in the empty mesh {mesh}, and no error says why")
    return None
