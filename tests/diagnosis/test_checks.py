"""Checks run one by one: one that fails or hangs is a finding, and the others run."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from ikto_core.diagnosis import checks as checks_module
from ikto_core.diagnosis.all_checks import BUILT_IN
from ikto_core.diagnosis.checks import Category, Check, Result, error, ok, run_checks, skipped, warning, worst
from ikto_core.diagnosis.subject import Subject
from ikto_core.errors import NatsError
from ikto_core.plugins.check_contract import Finding, Level
from tests.diagnosis.checking import node_to_check

Run = Callable[[Subject], Awaitable[Iterable[Finding]]]


def check(run: Run, *, name: str = "one", before_start: bool = True) -> Check:
    return Check(category=Category.HOST, name=name, summary="all is well", run=run, before_start=before_start)


async def results(subject: Subject, *checks: Check) -> list[Result]:
    return [result async for result in run_checks(subject, checks)]


async def nothing(_: Subject) -> Iterable[Finding]:
    return ()


async def fails(_: Subject) -> Iterable[Finding]:
    raise ZeroDivisionError("by\nnought")


async def refuses(_: Subject) -> Iterable[Finding]:
    raise NatsError("no answer", hint="start it")


async def hangs(_: Subject) -> Iterable[Finding]:
    await asyncio.Event().wait()
    return ()


async def test_a_check_without_a_finding_says_that_all_is_well(tmp_path: Path) -> None:
    (result,) = await results(node_to_check(tmp_path), check(nothing))
    assert (result.category, result.check) == (Category.HOST, "one")
    assert (result.finding.level, result.finding.text, result.finding.page) == (
        Level.OK,
        "all is well",
        "doctor.md#one",
    )


async def test_what_a_check_raises_is_its_error_and_the_next_one_runs(tmp_path: Path) -> None:
    failed, refused, fine = await results(node_to_check(tmp_path), check(fails), check(refuses), check(nothing))
    assert failed.finding.level is Level.ERROR
    assert failed.finding.text == "this check failed: ZeroDivisionError: by nought"
    assert (refused.finding.text, refused.finding.fix) == ("no answer", "start it")
    assert fine.finding.level is Level.OK


async def test_a_check_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks_module, "CHECK_LIMIT_S", 0.01)
    (hung,) = await results(node_to_check(tmp_path), check(hangs))
    assert hung.finding.text == "this check did not end within 0.01 s"
    assert hung.finding.level is Level.ERROR


async def test_before_the_first_start_no_check_asks_for_an_agent(tmp_path: Path) -> None:
    checks = (check(fails, before_start=False), check(nothing))
    (only,) = await results(node_to_check(tmp_path, before_start=True), *checks)
    assert only.finding.level is Level.OK


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ((), Level.OK),
        ((ok("a"), skipped("b")), Level.SKIPPED),
        ((warning("a"), ok("b"), skipped("c")), Level.WARNING),
        ((error("a"), warning("b"), ok("c")), Level.ERROR),
    ],
)
def test_the_worst_finding_counts(findings: tuple[Finding, ...], expected: Level) -> None:
    assert worst(Result(category=Category.HOST, check="c", finding=finding) for finding in findings) is expected


def test_the_names_of_checks_differ_and_their_categories_are_in_order() -> None:
    assert len({each.name for each in BUILT_IN}) == len(BUILT_IN)
    order = [list(Category).index(each.category) for each in BUILT_IN]
    assert order == sorted(order)
