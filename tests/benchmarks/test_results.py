"""The stored rows: what a run replaces, and what stays with its date."""

from pathlib import Path

from benchmarks.results import Results, Skipped, load, save
from tests.benchmarks.rows import a_row

WALK, AUDIT = a_row("walk/1000"), a_row("audit/1000", measure="audit")


def test_a_run_replaces_the_rows_of_its_measures_and_keeps_the_others() -> None:
    again = a_row("walk/2000", 5.0)
    kept = Results([WALK, AUDIT]).with_run(Results([again]), {"walk", "audit"})
    assert kept.rows == [AUDIT, again]


def test_a_skipped_measure_keeps_its_earlier_rows_and_says_why_until_it_runs() -> None:
    skipped = Skipped("walk", "no server", "2026-11-28")
    kept = Results([WALK]).with_run(Results(skipped=[skipped]), {"walk"})
    assert (kept.rows, kept.skipped) == ([WALK], [skipped])
    assert kept.with_run(Results([WALK]), {"walk"}).skipped == []


def test_rows_of_a_measure_that_is_no_more_are_dropped() -> None:
    gone = Skipped("audit", "no server", "2026-11-28")
    assert Results([WALK, AUDIT], [gone]).with_run(Results(), {"walk"}) == Results([WALK], [])


def test_a_baseline_keeps_one_row_of_a_name_the_latest() -> None:
    again = a_row("walk/1000", 5.0)
    assert Results([WALK, AUDIT]).with_names([again]).rows == [again, AUDIT]


def test_results_are_the_same_when_they_are_read_again(tmp_path: Path) -> None:
    results = Results([WALK, AUDIT], [Skipped("walk", "no server", "2026-11-28")])
    save(tmp_path / "r.json", results)
    assert load(tmp_path / "r.json") == results
    assert load(tmp_path / "none.json") == Results()
