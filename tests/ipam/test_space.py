"""The free subnets of a mesh, by number, agree with counting them one by one in small meshes."""

from hypothesis import given
from hypothesis import strategies as st

from ikto_core.ipam.contract import IpamRequest
from ikto_core.ipam.space import Space
from ikto_core.testing.ipam_requests import ask, assignable_subnets, every_subnet, small_requests
from ikto_core.values.addressing import Prefix


def free_numbers(req: IpamRequest) -> list[int]:
    every = enumerate(assignable_subnets(req.mesh_cidr, req.subnet_prefix), start=1)
    return [number for number, subnet in every if not any(map(subnet.overlaps, req.taken))]


@given(small_requests())
def test_free_subnets_are_counted(req: IpamRequest) -> None:
    space, free = Space.of(req), free_numbers(req)
    assert space.free == len(free)
    assert space.total == len(assignable_subnets(req.mesh_cidr, req.subnet_prefix))
    assert [number for run in space.runs for number in range(run.first, run.end)] == free


@given(small_requests())
def test_the_nth_free_subnet_is_found(req: IpamRequest) -> None:
    space = Space.of(req)
    assert [space.nth_free(index) for index in range(space.free)] == free_numbers(req)


@given(small_requests(), st.data())
def test_any_free_agrees_with_counting(req: IpamRequest, data: st.DataObject) -> None:
    space, free = Space.of(req), free_numbers(req)
    first = data.draw(st.integers(0, space.total))
    count = data.draw(st.integers(1, space.total + 1))
    assert space.any_free(first, count) == any(first <= number < first + count for number in free)


@given(small_requests())
def test_numbers_map_to_subnets_in_order(req: IpamRequest) -> None:
    space, every = Space.of(req), every_subnet(req.mesh_cidr, req.subnet_prefix)
    assert [space.subnet(number) for number in range(len(every))] == every


def test_a_mesh_smaller_than_a_subnet_has_no_subnets() -> None:
    space = Space.of(ask("10.0.0.0/24", 16))
    assert (space.runs, space.free, space.total) == ((), 0, 0)


def test_a_huge_mesh_is_counted_without_listing_it() -> None:
    half = Prefix.parse("8000::/1")
    space = Space.of(ask("::/0", 128, [half]))
    assert (space.total, space.free) == (2**128 - 1, 2**127 - 1)
    assert space.nth_free(2**127 - 2) == 2**127 - 1
    assert not space.any_free(2**127, 2**127)
