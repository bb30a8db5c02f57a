"""The IPAM kit passes for a strategy that keeps the contract, and names the clause that a broken strategy breaks."""

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
from tests.effort import max_examples
from tests.testing import broken_ipam as broken
from tests.third_party import PLUGIN, run_kit

pytestmark = pytest.mark.thorough
PAGE = Path(__file__).parents[2] / "docs/ipam-contract.md"


class Kit(IpamContract):
    deterministic = True
    unservable = ("",)
    examples = settings(max_examples=max_examples(100), phases=[Phase.generate], derandomize=True)  # no slow shrinking


def kit_tests(clause: str) -> list[Callable[[IpamPlugin], None]]:
    found = [getattr(Kit(), name) for name in dir(Kit) if name.startswith("test_")]
    return [test for test in found if clause_of(test) == clause]


def failures(make: Callable[[], IpamStrategy], clause: str) -> list[str]:
    """Run the clause's tests; return the messages of those that fail."""
    messages = []
    for test in kit_tests(clause):
        try:
            test(IpamPlugin(name="mine", summary="", make=make))
        except AssertionError as error:
            messages.append(str(error))
    return messages


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
        pytest.param(broken.DrawsForever, "I5", marks=pytest.mark.slow),
        (broken.StartsOver, "I5"),
        (broken.GivesUpEarly, "I6"),
        (broken.UsesGlobalRandom, "I7"),
        pytest.param(broken.UsesBuiltinHash, "I7", marks=pytest.mark.slow),
        pytest.param(broken.RemembersRequests, "I7", marks=pytest.mark.slow),
        (broken.DrawsDespiteDeterministic, "I8"),
        pytest.param(broken.ListsTheMesh, "I9", marks=pytest.mark.slow),
        pytest.param(broken.ScansTakenSubnets, "I10", marks=pytest.mark.slow),
        (broken.ScansTakenForEachCandidate, "I10"),
        (broken.ParsesNumberInName, "I11"),
        (broken.GivesNoHint, "I11"),
        (broken.RefusesSilently, "I11"),
    ],
)
def test_the_kit_names_the_clause_that_a_broken_strategy_breaks(make: Callable[[], IpamStrategy], clause: str) -> None:
    messages = failures(make, clause)
    assert messages
    assert all(text.startswith(f"{clause}: {IPAM_CLAUSES[clause]} But ") for text in messages)


class CorrectStrategy(HashStrategy):
    """Keeps the whole contract, and refuses a node without a name."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        if not request.name:
            raise ConfigError("name: is empty", hint="set the name of the node")
        return super().candidates(request)


@pytest.mark.parametrize(
    "clause", [pytest.param(clause, marks=pytest.mark.slow if clause == "I7" else ()) for clause in IPAM_CLAUSES]
)
def test_every_clause_has_tests_and_a_correct_strategy_passes_them(clause: str) -> None:
    assert kit_tests(clause)
    assert failures(CorrectStrategy, clause) == []


def test_every_test_of_the_kit_belongs_to_a_clause() -> None:
    names = [name for name in dir(IpamContract) if name.startswith("test_")]
    assert {clause_of(getattr(IpamContract, name)) for name in names} == set(IPAM_CLAUSES)


def test_the_clauses_are_numbered_and_the_page_equals_the_code() -> None:
    assert list(IPAM_CLAUSES) == [f"I{number}" for number in range(1, len(IPAM_CLAUSES) + 1)]
    page = PAGE.read_text()
    listed = page.partition("## The clauses\n")[2].partition("\n## ")[0]
    assert clauses_in(listed.replace("\n- ", "\n"), "I") == IPAM_CLAUSES
    assert clauses_in(inspect.getdoc(IpamStrategy) or "", "I") == IPAM_CLAUSES
    table = re.findall(r"^\| (I\d+) \| `(\w+)` \| (.*) \|$", page, re.MULTILINE)
    tests = [(clause, test) for clause in IPAM_CLAUSES for test in kit_tests(clause)]
    assert table == [(clause, test.__name__, (test.__doc__ or "").splitlines()[0]) for clause, test in tests]


def test_line_limit_stops_any_endless_loop() -> None:
    def run(lines: int) -> int:
        return sum(1 for _ in range(lines))

    with line_limit(500):
        assert run(100) == 100
    for endless in (lambda: run(1000), lambda: [run(1) for _ in iter(int, 1)]):
        with pytest.raises(TooMuchWorkError, match="not finished after 500 lines"), line_limit(500):
            endless()
    assert run(1000) == 1000


def third_party(directory: Path, body: str, *options: str) -> str:
    return run_kit(directory, "IpamContract", "ikto_core.builtin.ipam:ikto_register_ipam_strategies", body, *options)


@pytest.mark.slow
def test_a_third_party_runs_the_kit_and_sees_why_tests_are_skipped(tmp_path: Path) -> None:
    output = third_party(tmp_path, "    unsupported = {'I6': 'a node has one location'}\n" + PLUGIN)
    assert output.count("I6 is not supported: a node has one location") == len(kit_tests("I6"))
    assert "I8: `deterministic` is not set" in output
    assert "I11: `unservable` lists no names" in output
    assert f"{len(kit_tests('I6')) + 2} skipped" in output
    assert "failed" not in output
    assert "error" not in output


@pytest.mark.slow
def test_every_clause_can_be_declared_unsupported_with_its_reason(tmp_path: Path) -> None:
    reasons = {name: f"reason {number}." for number, name in enumerate(IPAM_CLAUSES)}
    output = third_party(tmp_path, f"    unsupported = {reasons!r}\n{PLUGIN}")
    assert dict(re.findall(r"SKIPPED \[\d+\] .*: (I\d+) is not supported: (.+)", output)) == reasons
    assert "passed" not in output


@pytest.mark.slow
def test_an_unknown_clause_and_a_missing_plugin_are_errors(tmp_path: Path) -> None:
    output = third_party(tmp_path, "    unsupported = {'I99': 'no such'}\n", "-x")
    assert "`unsupported` names unknown clauses: ['I99']" in output
    output = third_party(tmp_path, "    pass\n", "-x")
    assert "override the fixture `plugin`" in output
