"""Who pings whom, and what a ping tells."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.demo.pings import AT_ONCE, Pair, rounds, shortest
from ikto_core.demo.screen import console, matrix


@given(st.integers(0, 20).map(lambda nodes: [f"node-{number}" for number in range(nodes)]))
def test_everybody_pings_everybody_once_and_both_directions_never_at_once(names: list[str]) -> None:
    found = list(rounds(names))
    assert sorted(pair for pairs in found for pair in pairs) == sorted(permutations(names, 2))
    for pairs in found:
        assert len(pairs) <= AT_ONCE
        assert not {(target, source) for source, target in pairs} & set(pairs)


@pytest.mark.parametrize(
    ("said", "time_ms"),
    [
        ("5 packets transmitted, 5 received\nrtt min/avg/max/mdev = 0.217/0.399/0.870/0.203 ms\n", 0.217),
        ("rtt min/avg/max/mdev = 1000.5/2000.0/3000.0/1.0 ms, pipe 2\n", 1000.5),
        ("round-trip min/avg/max = 0.060/0.085/0.110 ms\n", 0.06),  # busybox
        ("5 packets transmitted, 0 received, 100% packet loss, time 4096ms\n\n", None),
        ("ping: connect: Invalid argument\n", None),
        ("", None),
    ],
)
def test_the_shortest_round_trip_is_read(said: str, time_ms: float | None) -> None:
    assert shortest(said) == time_ms


def test_the_matrix_shows_what_is_known_and_what_is_lost_and_cuts_nothing_off() -> None:
    names = [f"node-{number}" for number in range(40)]
    times: dict[Pair, float | None] = dict.fromkeys(permutations(names, 2), 12345.678) | {("node-0", "node-1"): None}
    del times["node-1", "node-0"]
    shown = console(len(names))
    with shown.capture() as captured:
        shown.print(matrix(names, times))
    said = captured.get()
    assert said.count("12345.68") == 40 * 39 - 2
    assert said.count("lost") == 1
    assert said.count("node-") == 80
