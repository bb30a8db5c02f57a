"""A PrefixIndex answers as a look at each of its subnets would."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.testing.strategies import subnets_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.prefix_index import PrefixIndex

MESHES = st.sampled_from(["10.0.0.0/29", "fd10::/125", "0.0.0.0/0"]).map(Prefix.parse)
STEPS = MESHES.flatmap(
    lambda mesh: st.lists(st.tuples(subnets_of(mesh), st.sampled_from(["add", "discard", "ask"])), max_size=40)
)


@given(STEPS)
def test_overlap_owner_agrees_with_a_linear_search_after_any_changes(steps: list[tuple[Prefix, str]]) -> None:
    index, held = PrefixIndex(), dict[Prefix, str]()
    for subnet, step in steps:
        overlapping = [owner for other, owner in held.items() if other.overlaps(subnet)]
        holder = index.overlap_owner(subnet)
        assert holder in overlapping if overlapping else holder is None
        if step == "add" and not overlapping:
            held[subnet] = str(subnet)
            index.add(subnet, str(subnet))
        elif step == "discard" and subnet in held:
            del held[subnet]
            index.discard(subnet)
        assert len(index) == len(held)


@given(STEPS)
def test_an_index_is_empty_after_every_subnet_is_discarded(steps: list[tuple[Prefix, str]]) -> None:
    index = PrefixIndex()
    held = []
    for subnet, _ in steps:
        if index.overlap_owner(subnet) is None:
            index.add(subnet, "owner")
            held.append(subnet)
    for subnet in reversed(held):
        index.discard(subnet)
    assert len(index) == 0
    assert all(index.overlap_owner(subnet) is None for subnet, _ in steps)
