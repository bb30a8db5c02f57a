"""The kit for IPAM strategies passes one that keeps the contract, and names the clause that a broken one breaks."""

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import Phase, settings

from ikto_core.builtin.ipam import HashStrategy
from ikto_core.errors import ConfigError
from ikto_core.ipam.contract import IpamPlugin, IpamRequest, IpamStrategy
from ikto_core.testing import IpamContract
from ikto_core.testing.clauses import clause_of, clauses_in
from ikto_core.testing.ipam_clauses import IPAM_CLAUSES
from ikto_core.testing.ipam_work_limit import TooMuchWorkError, line_limit
from ikto_core.values.addressing import Prefix
from tests.testing import broken_ipam as broken
from tests.third_party import PLUGIN, run_kit

PAGE = Path(__file__).parents[2] / "docs/ipam-contract.md"


class Kit(IpamContract):
    deterministic = True
    unservable = ("",)
    examples = settings(max_examples=100, phases=[Phase.generate], derandomize=True)  # to shrink is nice, and slow


def kit_tests(clause: str) -> list[Callable[[IpamPlugin], None]]:
    found = [getattr(Kit(), name) for name in dir(Kit) if name.startswith("test_")]
    return [test for test in found if clause_of(test) == clause]


def complaints(make: Callable[[], IpamStrategy], clause: str) -> list[str]:
    """Run the clause's tests; return what those that fail say."""
    said = []
    for test in kit_tests(clause):
        try:
            test(IpamPlugin(name="mine", summary="", make=make))
        except AssertionError as error:
            said.append(str(error))
    return said


@pytest.mark.parametrize(
    ("make", "clause"),
    [
        (broken.ProposesAddresses, "I1"),
        (broken.ProposesHalves, "I1"),
        (broken.ProposesText, "I1"),
        (broken.LeavesTheMesh, "I1"),
        (broken.DrawsWithReplacement, "I2"),
        (broken.BeginsAtZero, "I3"),
        (broken.EndsAtBroadcast, "I3"),
        (broken.ChecksEqualSubnetsOnly, "I4"),
        (broken.IgnoresSmallerTaken, "I4"),
        (broken.DrawsForever, "I5"),
        (broken.StartsOver, "I5"),
        (broken.GivesUpEarly, "I6"),
        (broken.UsesGlobalRandom, "I7"),
        (broken.UsesBuiltinHash, "I7"),
        (broken.RemembersRequests, "I7"),
        (broken.DrawsDespiteDeterministic, "I8"),
        (broken.ListsTheMesh, "I9"),
        (broken.ScansTakenSubnets, "I10"),
        (broken.ScansTakenForEachCandidate, "I10"),
        (broken.ParsesNumberInName, "I11"),
        (broken.GivesNoHint, "I11"),
        (broken.RefusesSilently, "I11"),
    ],
)
def test_the_kit_names_the_clause_that_a_broken_strategy_breaks(make: Callable[[], IpamStrategy], clause: str) -> None:
    said = complaints(make, clause)
    assert said
    assert all(text.startswith(f"{clause}: {IPAM_CLAUSES[clause]} But ") for text in said)


class Sound(HashStrategy):
    """Keeps the whole contract, and refuses who has no name."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        if not request.name:
            raise ConfigError("name: is empty", hint="give the node a name")
        return super().candidates(request)


@pytest.mark.parametrize("clause", IPAM_CLAUSES)
def test_every_clause_has_tests_and_a_sound_strategy_passes_them(clause: str) -> None:
    assert kit_tests(clause)
    assert complaints(Sound, clause) == []


def test_every_test_of_the_kit_belongs_to_a_clause() -> None:
    names = [name for name in dir(IpamContract) if name.startswith("test_")]
    assert {clause_of(getattr(IpamContract, name)) for name in names} == set(IPAM_CLAUSES)


def test_the_clauses_are_numbered_and_the_page_says_what_the_code_says() -> None:
    assert list(IPAM_CLAUSES) == [f"I{number}" for number in range(1, len(IPAM_CLAUSES) + 1)]
    page = PAGE.read_text()
    listed = page.partition("## The clauses\n")[2].partition("\n## ")[0]
    assert clauses_in(listed.replace("\n- ", "\n"), "I") == IPAM_CLAUSES
    assert clauses_in(inspect.getdoc(IpamStrategy) or "", "I") == IPAM_CLAUSES
    proved = re.findall(r"^\| (I\d+) \| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    tests = [(clause, test) for clause in IPAM_CLAUSES for test in kit_tests(clause)]
    assert proved == [(clause, test.__name__, (test.__doc__ or "").splitlines()[0]) for clause, test in tests]


def test_work_is_bounded_wherever_it_is_done() -> None:
    def run(lines: int) -> int:
        return sum(1 for _ in range(lines))

    with line_limit(500):
        assert run(100) == 100
    for endless in (lambda: run(1000), lambda: [run(1) for _ in iter(int, 1)]):
        with pytest.raises(TooMuchWorkError, match="not done after 500 lines"), line_limit(500):
            endless()
    assert run(1000) == 1000


def third_party(directory: Path, body: str) -> str:
    return run_kit(directory, "IpamContract", "ikto_core.builtin.ipam:ikto_register_ipam_strategies", body)


def test_a_third_party_gives_its_plugin_and_is_told_what_is_not_shown(tmp_path: Path) -> None:
    said = third_party(tmp_path, "    unsupported = {'I6': 'a node has one place'}\n" + PLUGIN)
    assert said.count("I6 is not supported: a node has one place") == len(kit_tests("I6"))
    assert "I8: `deterministic` is not set" in said
    assert "I11: `unservable` lists no names" in said
    assert f"{len(kit_tests('I6')) + 2} skipped" in said
    assert "failed" not in said
    assert "error" not in said


def test_every_clause_can_be_declared_unsupported_with_its_reason(tmp_path: Path) -> None:
    reasons = {name: f"reason {number}." for number, name in enumerate(IPAM_CLAUSES)}
    said = third_party(tmp_path, f"    unsupported = {reasons!r}\n{PLUGIN}")
    assert dict(re.findall(r"SKIPPED \[\d+\] .*: (I\d+) is not supported: (.+)", said)) == reasons
    assert "passed" not in said


def test_a_misspelt_clause_and_a_missing_plugin_are_said(tmp_path: Path) -> None:
    said = third_party(tmp_path, "    unsupported = {'I99': 'no such'}\n")
    assert "`unsupported` names no clause of the contract: ['I99']" in said
    said = third_party(tmp_path, "    pass\n")
    assert "give the fixture `plugin`" in said
