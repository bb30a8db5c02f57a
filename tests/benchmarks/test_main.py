"""The command: which measures it runs, what it stores, and when it fails."""

from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import results, results_page
from benchmarks.findings import Finding, at_most
from benchmarks.measures import Bench, Measure
from benchmarks.results import Results
from benchmarks.runner import Outcome
from tests.benchmarks.rows import a_row

SLOW = Finding(name="walk/1000", what="a walk", unit="s", ikto=9.0, target=at_most(1.0))


def never(_: Bench) -> list[Finding]:
    raise AssertionError("its process is not started here")


MEASURES = [
    Measure("walk", "following", never),
    Measure("audit", "following", never, quick=False),
    Measure("restart", "first-contact", never),
]


@pytest.fixture(autouse=True)
def ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The names of the measures that ran; their findings are SLOW, and files are in `tmp_path`."""
    ran: list[str] = []

    def run(measure: Measure, **_: object) -> Outcome:
        ran.append(measure.name)
        return Outcome(failed="it broke") if measure.name == "restart" else Outcome(findings=[SLOW])

    monkeypatch.setattr(command, "all_measures", lambda: MEASURES)
    monkeypatch.setattr(command, "run", run)
    monkeypatch.setattr(results_page, "FOLDER", tmp_path)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results.json")
    monkeypatch.setattr(results, "BASELINE", tmp_path / "baseline.json")
    return ran


def ikto_bench(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["benchmarks", *arguments])
    return command.main()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], ["walk", "audit"]),
        (["--quick"], ["walk"]),
        (["--all"], ["walk", "audit", "restart"]),
        (["--only", "audit"], ["audit"]),
        (["audit", "--quick"], ["audit"]),
        (["--group", "first-contact"], ["restart"]),
        (["--report"], []),
        (["--list"], []),
    ],
)
def test_the_arguments_select_the_measures(
    arguments: list[str], names: list[str], ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ikto_bench(monkeypatch, *arguments)
    assert ran == names


def test_an_unknown_name_is_an_error_that_says_where_names_are(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit, match=r"wlak.*--list"):
        ikto_bench(monkeypatch, "wlak")


def test_a_target_that_is_missed_and_a_row_that_got_slower_fail_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results.save(results.BASELINE, Results([a_row("walk/1000", 1.0, machine=results.machine())]))
    assert ikto_bench(monkeypatch, "walk") == 0
    printed = capsys.readouterr().out
    assert "NOT MET, SLOWER: +800%" in printed


def test_a_measure_that_breaks_fails_the_run_at_its_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ikto_bench(monkeypatch, "walk", "restart") == 1
    assert "FAILED: restart: it broke" in capsys.readouterr().out
    assert [row.name for row in results.load(results.RESULTS).rows] == ["walk/1000"]


def test_a_run_stores_its_rows_and_their_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ikto_bench(monkeypatch, "walk")
    assert "| a walk | 9 s |" in (tmp_path / "RESULTS.md").read_text()
    assert (tmp_path / "plots/targets.svg").exists()


@pytest.mark.parametrize("arguments", [["--quick"], ["walk", "--json"]])
def test_a_quick_run_and_one_with_a_file_of_its_own_leave_the_stored_rows(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "own.json"
    ikto_bench(monkeypatch, *arguments, *([str(file)] if "--json" in arguments else []))
    assert not results.RESULTS.exists()
    assert not (tmp_path / "RESULTS.md").exists()
    assert file.exists() == ("--json" in arguments)


def test_a_baseline_is_stored_only_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ikto_bench(monkeypatch, "walk")
    assert not results.BASELINE.exists()
    ikto_bench(monkeypatch, "walk", "--store-baseline")
    assert [row.name for row in results.load(results.BASELINE).rows] == ["walk/1000"]
