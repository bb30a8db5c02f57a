"""The `random` strategy proposes every free subnet once, in uniformly random order."""

from collections import Counter
from functools import partial
from ipaddress import ip_network
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ikto_core.builtin.ipam import RandomStrategy, shuffled
from ikto_core.ipam.contract import IpamRequest
from ikto_core.plugins import load_plugins
from ikto_core.testing.strategies import prefixes, subnets_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


def request(mesh: Prefix, subnet_prefix: int, taken: frozenset[Prefix] = frozenset(), seed: int = 0) -> IpamRequest:
    return IpamRequest(
        mesh_cidr=mesh,
        subnet_prefix=subnet_prefix,
        public_key=PublicKey(bytes([1] * 32)),
        name="",
        taken=taken,
        random=Random(seed),
    )


@st.composite
def small_meshes(draw: DrawFn) -> IpamRequest:
    """A mesh of at most 256 subnets; taken prefixes may be longer, shorter or outside the mesh."""
    mesh = draw(prefixes())
    length = min(mesh.length + draw(st.integers(0, 8)), mesh.bits)
    taken = draw(st.frozensets(subnets_of(mesh) | subnets_of(mesh, length) | prefixes(), max_size=12))
    return request(mesh, length, taken, draw(st.integers()))


def subnets(req: IpamRequest) -> list[Prefix]:
    """Every assignable subnet, by an independent implementation."""
    network = ip_network(str(req.mesh_cidr))
    every = [Prefix.parse(str(subnet)) for subnet in network.subnets(new_prefix=req.subnet_prefix)][1:]
    return every[:-1] if network.version == 4 and network.prefixlen < 31 <= req.subnet_prefix else every


@given(small_meshes())
def test_exactly_the_free_subnets_are_proposed_each_once(req: IpamRequest) -> None:
    free = [subnet for subnet in subnets(req) if not any(subnet.overlaps(taken) for taken in req.taken)]
    assert sorted(RandomStrategy().candidates(req)) == free


@given(prefixes().filter(lambda mesh: mesh.length > 0), st.integers())
def test_a_prefix_shorter_than_the_meshs_has_no_candidates(mesh: Prefix, seed: int) -> None:
    assert list(RandomStrategy().candidates(request(mesh, mesh.length - 1, seed=seed))) == []


@given(small_meshes())
def test_an_equal_random_state_has_the_same_candidates(req: IpamRequest) -> None:
    again = request(req.mesh_cidr, req.subnet_prefix, req.taken, seed=5)
    once = request(req.mesh_cidr, req.subnet_prefix, req.taken, seed=5)
    assert list(RandomStrategy().candidates(again)) == list(RandomStrategy().candidates(once))


@pytest.mark.parametrize(("mesh", "length"), [("fd10::/16", 48), ("fd10::/16", 128), ("::/0", 128), ("10.0.0.0/8", 32)])
def test_a_huge_mesh_is_never_listed(mesh: str, length: int) -> None:
    cidr = Prefix.parse(mesh)
    half = frozenset({Prefix.of(cidr.address, cidr.length + 1)})
    proposed = list(islice(RandomStrategy().candidates(request(cidr, length, half)), 1000))
    assert len(set(proposed)) == 1000
    assert all(cidr.covers(subnet) and subnet.length == length for subnet in proposed)
    assert not any(taken.overlaps(subnet) for taken in half for subnet in proposed)


def test_a_nearly_full_mesh_costs_one_draw_per_candidate() -> None:
    cidr = Prefix.parse("10.0.0.0/8")
    taken = frozenset(Prefix(bytes([10, high, low, 0]), 24) for high in range(256) for low in range(256) if low % 64)
    req = request(cidr, 24, taken)
    draws = CountingRandom(1)
    req = IpamRequest(**{field: getattr(req, field) for field in req.__struct_fields__} | {"random": draws})
    first = next(iter(RandomStrategy().candidates(req)))
    assert first not in taken
    assert draws.calls == 1


class CountingRandom(Random):
    """Counts its draws."""

    calls = 0

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        self.calls += 1
        return super().randrange(start, stop, step)


def test_every_free_subnet_is_equally_likely_to_come_first() -> None:
    cidr = Prefix.parse("fd10::/124")
    taken = frozenset({Prefix.parse("fd10::4/126"), Prefix.parse("fd10::9/128")})
    seeds = Random(2)
    requests = (request(cidr, 128, taken, seeds.getrandbits(64)) for _ in range(10_000))
    firsts = Counter(next(iter(RandomStrategy().candidates(req))) for req in requests)
    assert len(firsts) == 10
    assert all(850 < count < 1150 for count in firsts.values())  # 1000 each, five standard deviations


def test_an_empty_shuffle_is_empty() -> None:
    assert list(shuffled(0, Random())) == []


@given(st.integers(0, 200), st.randoms(use_true_random=False))
def test_a_shuffle_is_a_permutation(count: int, random: Random) -> None:
    assert sorted(shuffled(count, random)) == list(range(count))


def test_the_strategy_is_registered_as_random() -> None:
    asked = partial(request, Prefix.parse("10.0.0.0/24"), 28)
    assert list(load_plugins().ipam("random").make().candidates(asked())) == list(RandomStrategy().candidates(asked()))
