"""Measures are found by themselves and run alone."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks import measures, runner
from benchmarks.findings import Finding
from benchmarks.groups import GROUPS
from benchmarks.measures import Bench, Measure, SkippedError, all_measures
from benchmarks.runner import Outcome, outcome, run, run_here

FOUND = Finding(name="walk/10", what="walk", unit="s", ikto=1.0)


def one(bench: Bench) -> Sequence[Finding]:
    assert bench.directory.is_dir()
    return [replace_size(FOUND, bench.pick(10, 5))]


def replace_size(finding: Finding, ikto: float) -> Finding:
    return Finding(name=finding.name, what=finding.what, unit=finding.unit, ikto=ikto)


async def waiting(bench: Bench) -> Sequence[Finding]:
    return one(bench)


def impossible(_: Bench) -> Sequence[Finding]:
    raise SkippedError("no server")


def broken(_: Bench) -> Sequence[Finding]:
    raise ValueError("it broke")


@pytest.fixture(autouse=True)
def _only(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Measure(run.__name__, "following", run) for run in (one, waiting, impossible, broken)]
    monkeypatch.setattr(runner, "all_measures", lambda: made)


def test_every_measure_has_a_name_of_its_own_and_a_group_that_exists() -> None:
    found = all_measures()
    assert len(found) > 5
    assert all(re.fullmatch("[a-z0-9-]+", measure.name) and measure.group in GROUPS for measure in found)


def test_two_measures_of_one_name_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "_found", lambda: iter([Measure("one", "following", one)] * 2))
    with pytest.raises(ValueError, match="one name: one"):
        all_measures()


@pytest.mark.parametrize("name", ["one", "waiting"])
def test_a_measure_is_a_function_or_a_coroutine_function(name: str) -> None:
    assert run_here(name, quick=False) == Outcome(findings=[replace_size(FOUND, 10)])
    assert run_here(name, quick=True) == Outcome(findings=[replace_size(FOUND, 5)])


def test_a_measure_that_can_not_run_or_fails_says_why() -> None:
    assert run_here("impossible", quick=False) == Outcome(skipped="no server")
    assert run_here("broken", quick=False) == Outcome(failed="ValueError: it broke")


def test_a_process_that_printed_no_outcome_has_failed_unless_its_place_was_missing() -> None:
    assert "exit code -9" in outcome(b"", -9, elsewhere=False).failed
    assert "no machine" in outcome(b"starting\nno machine\n", 70, elsewhere=True).skipped
    assert outcome(b'noise\n{"skipped":"no server"}\n', 0, elsewhere=True) == Outcome(skipped="no server")


def test_a_place_that_can_not_be_had_skips_the_measure() -> None:
    assert "no-such-program" in run(Measure("one", "following", one, prefix=("/no-such-program",)), quick=True).skipped


def test_a_measure_that_hangs_is_ended() -> None:
    hanging = Measure(
        "one", "following", one, timeout_s=0.1, prefix=(sys.executable, "-c", "import time; time.sleep(600)")
    )
    assert "not done" in run(hanging, quick=True).skipped
    assert "not done" in run(replace(hanging, timeout_s=600), quick=True, left_s=0.1).skipped


def test_when_the_time_of_the_run_is_over_the_rest_is_skipped() -> None:
    assert "is over" in run(Measure("one", "following", one), quick=True, left_s=0).skipped
