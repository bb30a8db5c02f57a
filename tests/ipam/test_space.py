"""What is free in a mesh, by number: as counting one by one says, in any mesh small enough to be counted."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.ipam.contract import IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.testing.ipam_requests import ask, assignable_subnets, every_subnet, small_requests
from ikto_core.values.addressing import Prefix


def free_numbers(asked: IpamRequest) -> list[int]:
    every = enumerate(assignable_subnets(asked.mesh_cidr, asked.subnet_prefix), start=1)
    return [number for number, subnet in every if not any(map(subnet.overlaps, asked.taken))]


@given(small_requests())
def test_it_counts_what_is_free(asked: IpamRequest) -> None:
    space, free = Space.of(asked), free_numbers(asked)
    assert space.free == len(free)
    assert space.total == len(assignable_subnets(asked.mesh_cidr, asked.subnet_prefix))
    assert [number for run in space.runs for number in range(run.first, run.end)] == free


@given(small_requests())
def test_the_nth_free_subnet_is_found(asked: IpamRequest) -> None:
    space = Space.of(asked)
    assert [space.nth_free(place) for place in range(space.free)] == free_numbers(asked)


@given(small_requests(), st.data())
def test_whether_any_of_some_is_free(asked: IpamRequest, data: st.DataObject) -> None:
    space, free = Space.of(asked), free_numbers(asked)
    first = data.draw(st.integers(0, space.total))
    count = data.draw(st.integers(1, space.total + 1))
    assert space.any_free(first, count) == any(first <= number < first + count for number in free)


@given(small_requests())
def test_a_number_is_a_subnet(asked: IpamRequest) -> None:
    space, every = Space.of(asked), every_subnet(asked.mesh_cidr, asked.subnet_prefix)
    assert [space.subnet(number) for number in range(len(every))] == every


def test_a_mesh_that_is_smaller_than_a_subnet_has_none() -> None:
    space = Space.of(ask("10.0.0.0/24", 16))
    assert (space.runs, space.free, space.total) == ((), 0, 0)


def test_a_huge_mesh_is_counted_at_once() -> None:
    half = Prefix.parse("8000::/1")
    space = Space.of(ask("::/0", 128, [half]))
    assert (space.total, space.free) == (2**128 - 1, 2**127 - 1)
    assert space.nth_free(2**127 - 2) == 2**127 - 1
    assert not space.any_free(2**127, 2**127)
