"""The order of the demo's pings, their results, and the tables that show them."""

import re
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_core.demo.pings import AT_ONCE, Pair, round_trip, rounds
from ikto_core.demo.screen import console, first_answer_matrix, progress, round_trip_matrix
from tests.cli.test_status import STATUS

ANSWER = "64 bytes from fd10::1: icmp_seq=1 ttl=64 time={} ms\n"


@given(st.integers(0, 20).map(lambda nodes: [f"node-{number}" for number in range(nodes)]))
def test_every_pair_pings_once_and_not_too_many_at_once(names: list[str]) -> None:
    found = list(rounds(names))
    assert sorted(pair for pairs in found for pair in pairs) == sorted(permutations(names, 2))
    assert all(len(pairs) <= AT_ONCE for pairs in found)


@pytest.mark.parametrize(
    ("times", "time_ms"),
    [
        (["0.2", "0.3", "9", "0.4", "0.1"], 0.3),
        (["1000", "2000.5", "3000", "1", "2"], 1000),
        (["0.2", "0.3", "9", "0.4"], None),
        ([], None),
    ],
)
def test_the_round_trip_is_the_median_if_no_answer_is_missing(times: list[str], time_ms: float | None) -> None:
    ended = "5 packets transmitted, 5 received\nrtt min/avg/max/mdev = 0.1/0.3/9.0/0.2 ms\n"
    assert round_trip("".join(map(ANSWER.format, times)) + ended) == time_ms


def test_the_matrices_show_every_time_and_lost_pings_without_cutting_names() -> None:
    names = [f"node-{number}" for number in range(40)]
    times: dict[Pair, float | None] = dict.fromkeys(permutations(names, 2), 12345.678) | {("node-0", "node-1"): None}
    del times["node-1", "node-0"]
    wide = console(len(names))
    with wide.capture() as captured:
        wide.print(round_trip_matrix(names, times))
        wide.print(first_answer_matrix(names, {("node-0", "node-1"): 0.123}))
    output = captured.get()
    assert output.count("12345.68") == 40 * 39 - 2
    assert output.count("lost") == 1
    assert output.count("0.12 ") == 1
    assert output.count("node-") == 160


def test_while_the_mesh_forms_each_node_shows_how_many_others_have_answered_it() -> None:
    wide = console(9)
    statuses = [replace(STATUS, name=name) for name in ("one", "two")]
    for missing, cells in (([("two", "one")], ["1 of 1", "0 of 1"]), ([], ["1 of 1", "1 of 1"])):
        with wide.capture() as captured:
            wide.print(progress(["one", "two"], statuses, missing))
        assert re.findall(r"(\S+ of \S+) +│$", captured.get(), re.MULTILINE) == cells
    with wide.capture() as captured:
        wide.print(progress(["one", "two"], statuses))
    assert "answers" not in captured.get(), "no packets flow"
