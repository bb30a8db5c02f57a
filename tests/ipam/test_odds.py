"""How often the first candidates of `random` collide: as computed, as simulated with the strategy itself, as told."""

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


def second_tries(asked: IpamRequest, nodes: int) -> int:
    """Let so many nodes ask at once; return how many don't have their candidate to themselves first."""
    return nodes - len({next(RandomStrategy().candidates(asked)) for _ in range(nodes)})


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
    """Within five standard deviations, in a few hundred starts of a mesh."""
    asked, runs = ask(mesh, length, taken, seed=11), 300
    free = Space.of(asked).free
    tries = [second_tries(asked, nodes) for _ in range(runs)]
    probability, expected = collision_probability(nodes, free), expected_second_tries(nodes, free)
    collided = sum(1 for count in tries if count) / runs
    assert abs(collided - probability) < 5 * sqrt(probability * (1 - probability) / runs)
    assert abs(sum(tries) / runs - expected) < 5 * sqrt(expected / runs)  # close to Poisson, and not wider


def test_a_quarter_of_a_million_nodes_that_start_at_once_in_the_default_mesh() -> None:
    """Seven of them have to try again, give or take a few."""
    nodes, asked = 250_000, ask("fd10::/16", 48, seed=12)
    expected = expected_second_tries(nodes, Space.of(asked).free)
    assert 7.2 < expected < 7.3
    assert abs(second_tries(asked, nodes) - expected) < 4 * sqrt(expected)


@given(st.integers(0, 200), st.integers(1, 10_000))
def test_the_two_figures_agree(nodes: int, free: int) -> None:
    """The average is at least the probability of one, at most what pairs of nodes make, and exact in the small."""
    probability, expected = collision_probability(nodes, free), expected_second_tries(nodes, free)
    assert 0 <= probability <= min(1, expected + 1e-12)
    assert expected <= nodes * (nodes - 1) / (2 * free) + 1e-9
    assert expected == pytest.approx(nodes - free * (1 - (1 - 1 / free) ** nodes), abs=1e-9)


def test_known_birthdays() -> None:
    assert collision_probability(23, 365) == pytest.approx(0.5073, abs=0.0001)
    assert collision_probability(366, 365) == 1
    assert (expected_second_tries(3, 1), expected_second_tries(0, 1), collision_probability(2, 1)) == (2, 0, 1)


def test_what_is_small_is_not_rounded_away() -> None:
    assert collision_probability(2, 2**112) == pytest.approx(2**-112)
    assert expected_second_tries(2, 2**112) == pytest.approx(2**-112)


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else format(Decimal(f"{value:.2g}"), "f")


def percent(probability: float) -> str:
    return "over 99.9 %" if probability > 0.999 else f"{shown(100 * probability)} %"


def row(name: str, bits: int) -> str:
    free = 2**bits - 1
    cells = (
        f"{percent(collision_probability(nodes, free))} · {shown(expected_second_tries(nodes, free))}"
        if nodes <= free
        else "more than there are"
        for nodes in NODES
    )
    return f"| {name} | {free:,} | " + " | ".join(cells) + " |"


def test_the_table_of_the_docs_is_computed() -> None:
    table = re.findall(r"^\| /.*$", PAGE.read_text(), re.MULTILINE)
    assert table == [row(name, bits) for name, bits in SIZES.items()]
