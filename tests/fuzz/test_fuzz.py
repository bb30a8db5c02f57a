"""The reading code survives the whole corpus, and inputs made of it. `make fuzz` gives it a million of them."""

from collections.abc import Iterator
from itertools import islice

import pytest

from tests.fuzz.jobs import opened
from tests.fuzz.runner import Outcome, inputs_of, run
from tests.fuzz.target import CORPUS, Check, Target
from tests.fuzz.targets import TARGETS

FEW = 250
MAX_CORPUS_BYTES = 300_000


@pytest.fixture
def reading(request: pytest.FixtureRequest) -> Iterator[tuple[Target, Check]]:
    target: Target = request.param
    with opened(target) as check:
        yield target, check


each_target = pytest.mark.parametrize("reading", TARGETS, ids=lambda target: target.name, indirect=True)


def report(outcome: Outcome) -> str:
    return "\n".join(f"{fault.reason}\n{fault.data!r:.500}\n{fault.details}" for fault in outcome.faults.values())


@each_target
def test_the_corpus_is_survived_and_has_valid_inputs(reading: tuple[Target, Check]) -> None:
    target, check = reading
    outcome = run(target, check, target.corpus())
    assert not outcome.faults, report(outcome)
    assert outcome.accepted


@each_target
def test_some_inputs_made_of_the_corpus_are_survived(reading: tuple[Target, Check]) -> None:
    """Some are valid and some are not: otherwise the target would try one side only."""
    target, check = reading
    outcome = run(target, check, islice(inputs_of(target, 1, 0), FEW))
    assert not outcome.faults, report(outcome)
    assert outcome.accepted
    assert outcome.refused


def test_each_directory_of_the_corpus_has_a_target_and_the_corpus_is_small() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} == {target.name for target in TARGETS}
    assert sum(path.stat().st_size for path in CORPUS.rglob("*.*")) < MAX_CORPUS_BYTES


def test_the_shares_of_the_targets_are_a_whole() -> None:
    assert sum(target.percent for target in TARGETS) == 100
