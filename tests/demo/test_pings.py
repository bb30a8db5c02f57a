"""The order of the demo's pings, and their results."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.demo.pings import AT_ONCE, Pair, rounds, shortest
from ikto_core.demo.screen import console, matrix


@given(st.integers(0, 20).map(lambda nodes: [f"node-{number}" for number in range(nodes)]))
def test_every_pair_pings_once_and_never_in_both_directions_at_once(names: list[str]) -> None:
    found = list(rounds(names))
    assert sorted(pair for pairs in found for pair in pairs) == sorted(permutations(names, 2))
    for pairs in found:
        assert len(pairs) <= AT_ONCE
        assert not {(target, source) for source, target in pairs} & set(pairs)


@pytest.mark.parametrize(
    ("output", "time_ms"),
    [
        ("5 packets transmitted, 5 received\nrtt min/avg/max/mdev = 0.217/0.399/0.870/0.203 ms\n", 0.217),
        ("rtt min/avg/max/mdev = 1000.5/2000.0/3000.0/1.0 ms, pipe 2\n", 1000.5),
        ("round-trip min/avg/max = 0.060/0.085/0.110 ms\n", 0.06),  # busybox
        ("5 packets transmitted, 0 received, 100% packet loss, time 4096ms\n\n", None),
        ("ping: connect: Invalid argument\n", None),
        ("", None),
    ],
)
def test_the_shortest_round_trip_is_read(output: str, time_ms: float | None) -> None:
    assert shortest(output) == time_ms


def test_the_matrix_shows_every_time_and_lost_pings_without_cutting_names() -> None:
    names = [f"node-{number}" for number in range(40)]
    times: dict[Pair, float | None] = dict.fromkeys(permutations(names, 2), 12345.678) | {("node-0", "node-1"): None}
    del times["node-1", "node-0"]
    wide = console(len(names))
    with wide.capture() as captured:
        wide.print(matrix(names, times))
    output = captured.get()
    assert output.count("12345.68") == 40 * 39 - 2
    assert output.count("lost") == 1
    assert output.count("node-") == 80
