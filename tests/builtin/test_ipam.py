"""The strategies that come with Ikto keep the contract, each in its own way."""

import hashlib
import re
import subprocess
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.builtin.ipam import HashStrategy, SequentialStrategy, StaticStrategy, nearest, spot_of
from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.plugins import load_plugins
from ikto_core.testing import IpamContract
from ikto_core.testing.ipam_requests import ask, assignable_subnets, nine_tenths, small_requests
from ikto_core.testing.strategies import public_keys
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


class TestRandom(IpamContract):
    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("random")


class TestSequential(IpamContract):
    deterministic = True

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("sequential")


class TestHash(IpamContract):
    deterministic = True

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("hash")


class TestStatic(IpamContract):
    deterministic = True
    unsupported: ClassVar = {"I6": "the address is configured, and none is proposed"}

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("static")


class TestOfTheDocs(IpamContract):
    """The strategy that docs/ipam.md shows."""

    deterministic = True

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        page = (Path(__file__).parents[2] / "docs/ipam.md").read_text()
        shown: dict[str, Any] = {}
        exec(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0], shown)  # noqa: S102 - our own page
        (plugin,) = shown["ikto_register_ipam_strategies"]()
        assert isinstance(plugin, IpamPlugin)
        return plugin


@given(small_requests())
def test_sequential_offers_the_lowest_first(asked: IpamRequest) -> None:
    offered = list(SequentialStrategy().candidates(asked))
    assert offered == sorted(offered)


@given(small_requests())
def test_hash_offers_what_is_free_in_the_keys_own_order(asked: IpamRequest) -> None:
    """By another implementation: all numbers of the mesh are sorted, and what is taken left out."""
    bits = asked.subnet_prefix - asked.mesh_cidr.length
    digest = "".join(f"{byte:08b}" for byte in hashlib.sha256(asked.public_key).digest())
    spot = int("0" + digest[:bits], 2)
    given = dict(enumerate(assignable_subnets(asked.mesh_cidr, asked.subnet_prefix), start=1))
    order = sorted(given, key=lambda number: number ^ spot)
    free = [given[number] for number in order if not any(map(given[number].overlaps, asked.taken))]
    assert list(HashStrategy().candidates(asked)) == free


@given(small_requests(), st.data())
def test_what_is_taken_does_not_change_the_order_of_the_rest(asked: IpamRequest, data: st.DataObject) -> None:
    before = list(HashStrategy().candidates(asked))
    more = asked.taken | frozenset(data.draw(st.lists(st.sampled_from(before)))) if before else asked.taken
    again = ask(asked.mesh_cidr, asked.subnet_prefix, more, public_key=asked.public_key)
    assert list(HashStrategy().candidates(again)) == [subnet for subnet in before if subnet not in more]


def test_the_hash_of_the_docs() -> None:
    """What the page's pipe prints is what the page says, and what the strategy proposes."""
    page = (Path(__file__).parents[2] / "docs/ipam.md").read_text()
    pipe, printed = re.findall(r"^    \$ (.*)\n    (\w+)$", page, re.MULTILINE)[0]
    ran = subprocess.run(["/bin/sh", "-c", pipe], capture_output=True, text=True, check=True, timeout=30)
    key = PublicKey.parse(pipe.split()[1])
    first = next(HashStrategy().candidates(ask("fd10::/16", 48, public_key=key)))
    assert ran.stdout.strip() == printed
    assert str(first) == f"fd10:{printed[:4]}:{printed[4:]}::/48"
    assert f"first candidate is `{first}`" in page


@pytest.mark.parametrize(("taken", "most"), [((), 1.5), (nine_tenths(Prefix.parse("fd10::/16")), 5)])
def test_keys_are_spread_over_all_that_is_free(taken: list[Prefix], most: float) -> None:
    """Evenly over an empty mesh; over the tenth that is left of a full one with no more than a few times its share."""
    space = Space.of(ask("fd10::/16", 48, taken))
    free = 256 - len(taken)
    dice = Random(4)
    keys = (PublicKey(dice.randbytes(32)) for _ in range(200 * free))
    counts = Counter(next(nearest(space, spot_of(key, 32))) >> 24 for key in keys)
    assert len(counts) == free
    assert all(100 < count < 200 * most for count in counts.values()), counts


@given(public_keys())
def test_a_mesh_of_one_subnet_has_one_spot(key: PublicKey) -> None:
    assert spot_of(key, 0) == 0


def test_static_proposes_nothing_however_empty_the_mesh() -> None:
    assert list(StaticStrategy().candidates(ask("fd10::/16", 48))) == []


def test_the_next_candidates_of_a_key_are_neighbours_of_its_first() -> None:
    first, second, third = islice(HashStrategy().candidates(ask("fd10::/16", 48)), 3)
    assert [Prefix.of(subnet.address, 46) for subnet in (second, third)] == [Prefix.of(first.address, 46)] * 2
