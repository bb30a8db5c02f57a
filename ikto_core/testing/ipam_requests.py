"""Requests for tests of IPAM strategies: meshes of every size and family, empty, full and in between."""

from collections.abc import Iterable
from random import Random

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ikto_core.ipam.contract import IpamRequest
from ikto_core.testing.strategies import prefixes, public_keys, subnets_of
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey

HUGE = (("fd10::/16", 48), ("fd00::/8", 64), ("::/0", 128), ("10.0.0.0/8", 30), ("0.0.0.0/0", 30))
"""Meshes with the prefix length of their subnets, of which they have too many to list: 2**22 to 2**128."""


def ask(
    mesh: Prefix | str,
    subnet_prefix: int,
    taken: Iterable[Prefix] = (),
    *,
    name: str = "node-7",
    public_key: PublicKey | None = None,
    seed: int | None = 0,
) -> IpamRequest:
    """Return a request whose `random` is seeded with `seed`."""
    return IpamRequest(
        mesh_cidr=Prefix.parse(mesh) if isinstance(mesh, str) else mesh,
        subnet_prefix=subnet_prefix,
        public_key=public_key or PublicKey(bytes(range(32))),
        name=name,
        taken=frozenset(taken),
        random=Random(seed),  # noqa: S311 - tests must be repeatable
    )


@st.composite
def small_requests(draw: DrawFn) -> IpamRequest:
    """Draw a request in a mesh of at most 256 subnets, with up to 12 taken prefixes of any length."""
    mesh = draw(prefixes())
    length = min(mesh.length + draw(st.integers(0, 8)), mesh.bits)
    taken = draw(st.frozensets(subnets_of(mesh) | subnets_of(mesh, length) | prefixes(), max_size=12))
    seed = draw(st.integers(0, 2**32))
    return ask(mesh, length, taken, name=draw(st.text(max_size=9)), public_key=draw(public_keys()), seed=seed)


def every_subnet(mesh: Prefix, length: int) -> list[Prefix]:
    """Return every subnet of a small mesh in order, the first one included."""
    first = int.from_bytes(mesh.address, "big")
    numbers = range(1 << length - mesh.length)
    return [
        Prefix((first + (number << mesh.bits - length)).to_bytes(len(mesh.address), "big"), length)
        for number in numbers
    ]


def assignable_subnets(mesh: Prefix, length: int) -> list[Prefix]:
    """Return every subnet of a small mesh that a node may have, in order: clause I3."""
    subnets = every_subnet(mesh, length)[1:]
    if mesh.broadcast and length >= 31:
        subnets.pop()
    return subnets


def middle(mesh: Prefix) -> bytes:
    """Return the first address of a mesh's upper half."""
    return halves(mesh)[1].address


def halves(prefix: Prefix) -> tuple[Prefix, Prefix]:
    """Return the lower and the upper half of a prefix that has more than one address."""
    low = Prefix(prefix.address, prefix.length + 1)
    upper = int.from_bytes(prefix.last, "big") >> prefix.bits - low.length << prefix.bits - low.length
    return low, Prefix(upper.to_bytes(len(prefix.address), "big"), low.length)


def nine_tenths(mesh: Prefix, *, at_the_end: bool = False) -> list[Prefix]:
    """Return prefixes that cover nine tenths of a mesh: the first ones, or the last ones."""
    pieces = every_subnet(mesh, mesh.length + 8)
    return pieces[-230:] if at_the_end else pieces[:230]


def scattered(mesh: Prefix, length: int, count: int = 60) -> list[Prefix]:
    """Return subnets that are spread over a mesh, in no order: a set of them has another order in each process."""
    first, numbers = int.from_bytes(mesh.address, "big"), 1 << length - mesh.length
    places = [place * 7_919_993 % (numbers - 1) + 1 for place in range(1, count + 1)]
    size = len(mesh.address)
    return [Prefix((first + (number << mesh.bits - length)).to_bytes(size, "big"), length) for number in places]


def cover_without(mesh: Prefix, spared: Prefix) -> frozenset[Prefix]:
    """Return the fewest prefixes that cover the mesh except `spared`."""
    taken = set()
    while mesh != spared:
        low, high = halves(mesh)
        mesh, other = (low, high) if low.covers(spared) else (high, low)
        taken.add(other)
    return frozenset(taken)
