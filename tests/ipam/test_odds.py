"""How often first candidates of `random` collide: computed, simulated with the strategy, and as docs/ipam.md says."""

import re
from decimal import Decimal
from math import sqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.builtin.ipam import RandomStrategy
from ikto_core.ipam.contract import IpamRequest
from ikto_core.ipam.odds import collision_probability, expected_second_tries
from ikto_core.ipam.space import Space
from ikto_core.testing.ipam_requests import ask
from ikto_core.values.addressing import Prefix

PAGE = Path(__file__).parents[2] / "docs/ipam.md"
SIZES = {"/48 in a /16": 32, "/40 in a /16": 24, "/64 in a /48": 16, "/28 in a /16": 12, "/24 in a /16": 8}
NODES = (10, 100, 1_000, 10_000)


def second_tries(req: IpamRequest, nodes: int) -> int:
    """Simulate nodes that choose at once; return how many find their first candidate taken."""
    return nodes - len({next(RandomStrategy().candidates(req)) for _ in range(nodes)})


@pytest.mark.parametrize(
    ("mesh", "length", "taken", "nodes"),
    [
        ("10.0.0.0/16", 24, [], 10),
        ("10.0.0.0/16", 24, [], 40),
        ("10.0.0.0/16", 28, [], 50),
        ("10.0.0.0/16", 26, [Prefix.parse("10.0.0.0/17")], 30),  # 512 of 1023 are free
    ],
)
def test_collisions_are_as_frequent_as_computed(mesh: str, length: int, taken: list[Prefix], nodes: int) -> None:
    """Within five standard deviations, in a few hundred simulated starts of a mesh."""
    req, runs = ask(mesh, length, taken, seed=11), 300
    free = Space.of(req).free
    tries = [second_tries(req, nodes) for _ in range(runs)]
    probability, expected = collision_probability(nodes, free), expected_second_tries(nodes, free)
    collided = sum(1 for count in tries if count) / runs
    assert abs(collided - probability) < 5 * sqrt(probability * (1 - probability) / runs)
    assert abs(sum(tries) / runs - expected) < 5 * sqrt(
        expected / runs
    )  # close to a Poisson distribution, and not wider


@pytest.mark.slow
def test_second_tries_of_a_quarter_of_a_million_nodes_in_the_default_mesh() -> None:
    """About seven nodes have to try again if all start at once."""
    nodes, req = 250_000, ask("fd10::/16", 48, seed=12)
    expected = expected_second_tries(nodes, Space.of(req).free)
    assert 7.2 < expected < 7.3
    assert abs(second_tries(req, nodes) - expected) < 4 * sqrt(expected)


@given(st.integers(0, 200), st.integers(1, 10_000))
def test_probability_and_expectation_are_consistent(nodes: int, free: int) -> None:
    """The expectation is at least the probability, at most the number of pairs / free, and equals the closed form."""
    probability, expected = collision_probability(nodes, free), expected_second_tries(nodes, free)
    assert 0 <= probability <= min(1, expected + 1e-12)
    assert expected <= nodes * (nodes - 1) / (2 * free) + 1e-9
    assert expected == pytest.approx(nodes - free * (1 - (1 - 1 / free) ** nodes), abs=1e-9)


def test_known_values_of_the_birthday_problem() -> None:
    assert collision_probability(23, 365) == pytest.approx(0.5073, abs=0.0001)
    assert collision_probability(366, 365) == 1
    assert (expected_second_tries(3, 1), expected_second_tries(0, 1), collision_probability(2, 1)) == (2, 0, 1)


def test_very_small_values_are_accurate() -> None:
    assert collision_probability(2, 2**112) == pytest.approx(2**-112)
    assert expected_second_tries(2, 2**112) == pytest.approx(2**-112)


def number_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else format(Decimal(f"{value:.2g}"), "f")


def percent_text(probability: float) -> str:
    return "over 99.9 %" if probability > 0.999 else f"{number_text(100 * probability)} %"


def row(name: str, bits: int) -> str:
    free = 2**bits - 1
    cells = (
        f"{percent_text(collision_probability(nodes, free))} · {number_text(expected_second_tries(nodes, free))}"
        if nodes <= free
        else "more than there are"
        for nodes in NODES
    )
    return f"| {name} | {free:,} | " + " | ".join(cells) + " |"


def test_the_table_in_the_docs_matches_the_computed_values() -> None:
    table = re.findall(r"^\| /.*$", PAGE.read_text(), re.MULTILINE)
    assert table == [row(name, bits) for name, bits in SIZES.items()]
