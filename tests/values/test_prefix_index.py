"""The indexes find the same overlaps as a linear search."""

from bisect import bisect_right
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikto_core.testing.strategies import subnets_of
from ikto_core.values import prefix_index
from ikto_core.values.addressing import Prefix
from ikto_core.values.prefix_index import OverlapIndex, PrefixIndex, SortedValues

MESHES = st.sampled_from(["10.0.0.0/29", "fd10::/125", "0.0.0.0/0"]).map(Prefix.parse)
STEPS = MESHES.flatmap(
    lambda mesh: st.lists(st.tuples(subnets_of(mesh), st.sampled_from(["add", "discard", "ask"])), max_size=40)
)


@pytest.fixture(scope="module", autouse=True)
def _short_runs() -> Iterator[None]:
    """Cut runs after a few values, so that small examples have many."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(prefix_index, "MOST_PER_RUN", 3)
        yield


@given(st.lists(st.tuples(st.integers(0, 15), st.booleans()), min_size=10, max_size=80))
def test_sorted_values_agree_with_a_sorted_list_after_any_changes(steps: list[tuple[int, bool]]) -> None:
    values, expected = SortedValues[bytes](), list[bytes]()
    for number, keep in steps:
        value = bytes([number])
        below = expected[: bisect_right(expected, value)]
        assert list(values.down_from(value)) == below[::-1]
        assert values.at_most(value) == (below[-1] if below else None)
        assert list(values.up_from(value)) == [other for other in expected if other >= value]
        assert len(values) == len(expected)
        if keep and value not in expected:
            values.add(value)
            expected = sorted([*expected, value])
        elif not keep and value in expected:
            values.discard(value)
            expected.remove(value)


@given(STEPS)
def test_overlap_owner_agrees_with_a_linear_search_after_any_changes(steps: list[tuple[Prefix, str]]) -> None:
    index, added = PrefixIndex(), dict[Prefix, str]()
    for subnet, step in steps:
        overlapping = [owner for other, owner in added.items() if other.overlaps(subnet)]
        found = index.overlap_owner(subnet)
        assert found in overlapping if overlapping else found is None
        assert sorted(index.overlap_owners(subnet)) == sorted(overlapping)
        if step == "add" and not overlapping:
            added[subnet] = str(subnet)
            index.add(subnet, str(subnet))
        elif step == "discard" and subnet in added:
            del added[subnet]
            index.discard(subnet)
        assert len(index) == len(added)


@given(STEPS)
def test_an_index_is_empty_after_every_subnet_is_discarded(steps: list[tuple[Prefix, str]]) -> None:
    index = PrefixIndex()
    added = []
    for subnet, _ in steps:
        if index.overlap_owner(subnet) is None:
            index.add(subnet, "owner")
            added.append(subnet)
    for subnet in reversed(added):
        index.discard(subnet)
    assert len(index) == 0
    assert all(index.overlap_owner(subnet) is None for subnet, _ in steps)


@given(MESHES.flatmap(lambda mesh: st.lists(st.tuples(subnets_of(mesh), st.sampled_from("ab"), st.booleans()))))
def test_overlapping_agrees_with_a_linear_search_after_any_changes(steps: list[tuple[Prefix, str, bool]]) -> None:
    index, added = OverlapIndex(), set[tuple[Prefix, str]]()
    for subnet, owner, keep in steps:
        found = index.overlapping(subnet)
        assert len(found) == len(set(found))
        assert {(other, one) for other in found for one in index.owners(other)} == {
            (other, one) for other, one in added if other.overlaps(subnet)
        }
        if keep:
            added.add((subnet, owner))
            index.add(subnet, owner)
        elif (subnet, owner) in added:
            added.discard((subnet, owner))
            index.discard(subnet, owner)
