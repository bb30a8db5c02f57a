"""A row that got slower or bigger by more than the noise is marked, and no other."""

from typing import Any

import pytest

from benchmarks.baseline import LEAST, NOISE_FACTOR, change, changes
from tests.benchmarks.rows import a_row


def marked(now: dict[str, Any], before: dict[str, Any]) -> str | None:
    found = change(a_row(**now), a_row(**before))
    return found.word if found else None


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        ("s", ("slower", "quicker")),
        ("cores", ("slower", "quicker")),
        ("B", ("bigger", "smaller")),
        ("count", ("more", "fewer")),
    ],
)
def test_twice_as_much_is_marked_by_its_unit_and_half_as_well(unit: str, words: tuple[str, str]) -> None:
    assert marked({"ikto": 4.0, "unit": unit}, {"ikto": 2.0, "unit": unit}) == words[0]
    assert marked({"ikto": 1.0, "unit": unit}, {"ikto": 2.0, "unit": unit}) == words[1]
    found = change(a_row(ikto=4.0, unit=unit), a_row(ikto=2.0, unit=unit))
    assert found is not None
    assert (found.worse, found.share) == (True, 1.0)


def test_a_small_change_of_a_time_is_none_and_of_a_count_is_one() -> None:
    share = LEAST["s"] / 2
    assert marked({"ikto": 1 + share}, {"ikto": 1.0}) is None
    assert marked({"ikto": 101, "unit": "count"}, {"ikto": 100, "unit": "count"}) == "more"


@pytest.mark.parametrize("side", ["now", "before"])
def test_a_change_within_the_noise_of_either_run_is_none(side: str) -> None:
    now, before = {"ikto": 2.0}, {"ikto": 1.0}
    noisy = {"noise": 1.01 / NOISE_FACTOR}
    assert marked(now | (noisy if side == "now" else {}), before | (noisy if side == "before" else {})) is None


def test_times_are_compared_as_ratios_on_any_machine() -> None:
    """A machine that is ten times as slow, in all things, is no change."""
    now, before = {"ikto": 20.0, "reference": 10.0, "machine": "m2"}, {"ikto": 2.0, "reference": 1.0}
    assert marked(now, before) is None
    assert marked(now | {"ikto": 30.0}, before) == "slower"


def test_times_without_a_measured_reference_are_compared_on_one_machine_only() -> None:
    assert marked({"ikto": 9.0}, {"ikto": 1.0}) == "slower"
    assert marked({"ikto": 9.0, "machine": "m2"}, {"ikto": 1.0}) is None
    quoted = {"reference": 1.0, "quoted": "2026-11"}
    assert marked({"ikto": 9.0, "machine": "m2"} | quoted, {"ikto": 1.0} | quoted) is None
    assert marked({"ikto": 9.0} | quoted, {"ikto": 1.0} | quoted) == "slower"


@pytest.mark.parametrize(("unit", "word"), [("B", "bigger"), ("count", "more")])
def test_bytes_and_counts_are_compared_whatever_the_reference_does(unit: str, word: str) -> None:
    now = {"ikto": 2e6, "unit": unit, "reference": 2e6, "machine": "m2"}
    assert marked(now, {"ikto": 1e6, "unit": unit, "reference": 1e6}) == word


def test_what_was_nothing_and_now_is_something_is_marked() -> None:
    assert marked({"ikto": 1, "unit": "count"}, {"ikto": 0, "unit": "count"}) == "more"
    assert marked({"ikto": 0, "unit": "count"}, {"ikto": 0, "unit": "count"}) is None


def test_rows_of_another_unit_are_not_compared() -> None:
    assert marked({"ikto": 9.0, "unit": "B"}, {"ikto": 1.0}) is None


def test_a_new_row_is_no_change_and_others_are_found_by_name() -> None:
    now = [a_row("a", 9.0), a_row("b", 1.0), a_row("new", 9.0)]
    assert changes(now, [a_row("b", 1.0), a_row("a", 1.0), a_row("gone", 1.0)]).keys() == {"a"}
