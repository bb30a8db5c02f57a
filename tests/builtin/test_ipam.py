"""The built-in IPAM strategies: the contract kit, and each strategy's own promises."""

import hashlib
import re
import subprocess
from collections import Counter
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikto_core.builtin.ipam import HashStrategy, SequentialStrategy, StaticStrategy, hash_position, nearest
from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.plugins import load_plugins
from ikto_core.testing import IpamContract
from ikto_core.testing.ipam_requests import ask, assignable_subnets, nine_tenths, small_requests
from ikto_core.testing.strategies import public_keys
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey
from tests.effort import max_examples

pytestmark = pytest.mark.thorough
EXAMPLES = settings(max_examples=max_examples(50))


class TestRandom(IpamContract):
    examples = EXAMPLES

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("random")


class TestSequential(IpamContract):
    examples = EXAMPLES
    deterministic = True

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("sequential")


class TestHash(IpamContract):
    examples = EXAMPLES
    deterministic = True

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("hash")


class TestStatic(IpamContract):
    examples = EXAMPLES
    deterministic = True
    unsupported: ClassVar = dict.fromkeys(("I6", "I11"), "it proposes nothing: the address is configured")

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        return load_plugins().ipam("static")


class TestDocsExample(IpamContract):
    """The strategy in docs/ipam.md."""

    examples = EXAMPLES
    deterministic = True

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        page = (Path(__file__).parents[2] / "docs/ipam.md").read_text()
        shown: dict[str, Any] = {}
        exec(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0], shown)  # noqa: S102 - the repository's own page
        (plugin,) = shown["ikto_register_ipam_strategies"]()
        assert isinstance(plugin, IpamPlugin)
        return plugin


@given(small_requests())
def test_sequential_proposes_the_lowest_first(req: IpamRequest) -> None:
    proposed = list(SequentialStrategy().candidates(req))
    assert proposed == sorted(proposed)


@given(small_requests())
def test_hash_proposes_free_subnets_in_the_order_of_the_key(req: IpamRequest) -> None:
    """Compared with an independent implementation that sorts all numbers of the mesh and skips taken ones."""
    bits = req.subnet_prefix - req.mesh_cidr.length
    digest = "".join(f"{byte:08b}" for byte in hashlib.sha256(req.public_key).digest())
    position = int("0" + digest[:bits], 2)
    by_number = dict(enumerate(assignable_subnets(req.mesh_cidr, req.subnet_prefix), start=1))
    order = sorted(by_number, key=lambda number: number ^ position)
    free = [by_number[number] for number in order if not any(map(by_number[number].overlaps, req.taken))]
    assert list(HashStrategy().candidates(req)) == free


@given(small_requests(), st.data())
def test_hash_taken_subnets_do_not_change_the_order_of_the_others(req: IpamRequest, data: st.DataObject) -> None:
    before = list(HashStrategy().candidates(req))
    more = req.taken | frozenset(data.draw(st.lists(st.sampled_from(before)))) if before else req.taken
    again = ask(req.mesh_cidr, req.subnet_prefix, more, public_key=req.public_key)
    assert list(HashStrategy().candidates(again)) == [subnet for subnet in before if subnet not in more]


def test_the_hash_example_in_the_docs() -> None:
    """The page's shell command prints what the page shows, and what the strategy proposes."""
    page = (Path(__file__).parents[2] / "docs/ipam.md").read_text()
    pipe, printed = re.findall(r"^    \$ (.*)\n    (\w+)$", page, re.MULTILINE)[0]
    ran = subprocess.run(["/bin/sh", "-c", pipe], capture_output=True, text=True, check=True, timeout=30)
    key = PublicKey.parse(pipe.split()[1])
    first = next(HashStrategy().candidates(ask("fd10::/16", 48, public_key=key)))
    assert ran.stdout.strip() == printed
    assert str(first) == f"fd10:{printed[:4]}:{printed[4:]}::/48"
    assert f"first candidate is `{first}`" in page


@pytest.mark.parametrize(("taken", "most"), [((), 1.5), (nine_tenths(Prefix.parse("fd10::/16")), 5)])
def test_hash_spreads_keys_over_all_free_subnets(taken: list[Prefix], most: float) -> None:
    """Evenly over an empty mesh; in a mesh with a tenth free, no subnet gets more than a few times its share."""
    space = Space.of(ask("fd10::/16", 48, taken))
    free = 256 - len(taken)
    random = Random(4)
    keys = (PublicKey(random.randbytes(32)) for _ in range(50 * free))
    counts = Counter(next(nearest(space, hash_position(key, 32))) >> 24 for key in keys)
    assert len(counts) == free
    assert all(25 < count < 50 * most for count in counts.values()), counts


@given(public_keys())
def test_a_mesh_of_one_subnet_has_one_position(key: PublicKey) -> None:
    assert hash_position(key, 0) == 0


def test_static_proposes_nothing_even_in_an_empty_mesh() -> None:
    assert list(StaticStrategy().candidates(ask("fd10::/16", 48))) == []


def test_hash_the_next_candidates_are_neighbours_of_the_first() -> None:
    first, second, third = islice(HashStrategy().candidates(ask("fd10::/16", 48)), 3)
    assert [Prefix.of(subnet.address, 46) for subnet in (second, third)] == [Prefix.of(first.address, 46)] * 2
