"""RESULTS.md: each row with its date, its target and what changed."""

import pytest

from benchmarks.baseline import changes
from benchmarks.findings import Unit, at_most, at_most_times
from benchmarks.report import line, quantity, render, said
from benchmarks.results import Results, Skipped
from tests.benchmarks.rows import a_row

GROUPS = {"walk": "following", "audit": "following"}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.00123, "s", "1.23 ms"),
        (0.000_04, "s", "40 µs"),
        (12.3456, "s", "12.3 s"),
        (0.0, "s", "0 s"),
        (512, "B", "512 B"),
        (62.4e6, "B", "62.4 MB"),
        (188e9, "B", "188 GB"),
        (10_600, "count", "10,600"),
        (1.5, "count", "1.5"),
        (0.0058, "cores", "0.58 % of a core"),
    ],
)
def test_a_quantity_has_three_digits_and_the_prefix_that_suits_it(value: float, unit: Unit, text: str) -> None:
    assert quantity(value, unit) == text


def test_a_row_says_what_it_is_beside_and_whether_its_target_is_met() -> None:
    told = line(a_row(ikto=3.0, reference=2.0, beside="kv.watch", target=at_most_times(1.4)), None)
    assert "| 3 s | kv.watch: 2 s | 1.50 | ≤ 1.4 × | **no** |" in told
    assert "| ≤ 4 s | yes |" in line(a_row(ikto=3.0, target=at_most(4.0)), None)


def test_a_quoted_reference_is_called_so_with_its_date() -> None:
    told = line(a_row(ikto=3.0, reference=2.0, beside="0.3.0", quoted="2026-11"), None)
    assert "0.3.0: 2 s, quoted from 2026-11 | 1.50 (quoted)" in told


def test_a_reference_that_could_not_be_had_is_said() -> None:
    assert "not measured: wg is not installed" in line(a_row(missing="wg is not installed"), None)


def test_what_got_slower_is_marked() -> None:
    now, before = a_row(ikto=4.0), a_row(ikto=2.0)
    assert "**slower: +100%" in line(now, changes([now], [before])[now.name])


def test_a_line_for_a_terminal_has_the_same() -> None:
    now, before = a_row(ikto=4.0, reference=1.0, beside="kv.watch", target=at_most_times(2)), a_row(ikto=2.0)
    told = said(now, changes([now], [before])[now.name])
    assert "4 s (kv.watch: 1 s; ratio 4.00), wanted ≤ 2 ×, NOT MET, SLOWER: +100%" in told


def test_rows_are_in_their_groups_with_the_machine_of_each_date_and_what_was_skipped() -> None:
    results = Results([a_row(machine="m1")], [Skipped("audit", "no server", "2026-11-28")])
    text = render(results, {}, GROUPS, ["plots/a.svg"])
    assert text.index("## Following a bucket") < text.index("| walk/1000 |") < text.index("- **Skipped** on 2026-11-28")
    assert "audit: no server" in text
    assert "- 2026-11-28: m1" in text
    assert "](plots/a.svg)" in text
    assert "## A fleet" not in text
