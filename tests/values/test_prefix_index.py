"""The indexes find the same overlaps as a linear search."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.testing.strategies import subnets_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.prefix_index import OverlapIndex, PrefixIndex

MESHES = st.sampled_from(["10.0.0.0/29", "fd10::/125", "0.0.0.0/0"]).map(Prefix.parse)
STEPS = MESHES.flatmap(
    lambda mesh: st.lists(st.tuples(subnets_of(mesh), st.sampled_from(["add", "discard", "ask"])), max_size=40)
)


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
