"""The IPAM strategies that come with Ikto; docs/ipam.md says which is for whom."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from random import Random

from ikto_core.plugins import IpamPlugin, IpamRequest, Prefix, PublicKey, Space, hookimpl


class RandomStrategy:
    """Every free subnet is as likely as any other: two nodes that ask at once seldom meet."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield all free subnets in uniformly random order.

        Each costs one draw, however full the mesh is and however large: what is drawn is a place among the free
        subnets, and memory grows with the candidates that were taken, not with the mesh.
        """
        space = Space.of(request)
        for place in shuffled(space.free, request.random):
            yield space.subnet(space.nth_free(place))


class SequentialStrategy:
    """The lowest free subnet first: who reads the addresses sees the order in which nodes came."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield all free subnets in ascending order."""
        space = Space.of(request)
        for run in space.runs:
            yield from map(space.subnet, range(run.first, run.end))


class HashStrategy:
    """A node finds its subnet again by its public key alone, with neither a kept claim nor a record."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield all free subnets by their distance from the one that the public key stands for.

        The key decides the order of all subnets; what is taken is left out of it, and changes nothing else.
        """
        space = Space.of(request)
        yield from map(space.subnet, nearest(space, spot_of(request.public_key, space.number_bits)))


class StaticStrategy:
    """No address but the configured one."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:  # noqa: ARG002 - nothing of it matters
        """Yield nothing: with a configured address no strategy is asked, and "auto" beside it is refused."""
        yield from ()


def shuffled(count: int, random: Random) -> Iterator[int]:
    """Yield 0 to `count` - 1, each once, in uniformly random order: Fisher and Yates, storing only what moved."""
    moved: dict[int, int] = {}
    for last in range(count - 1, -1, -1):
        pick = random.randrange(last + 1)
        yield moved.get(pick, pick)
        moved[pick] = moved.pop(last, last)


def spot_of(public_key: PublicKey, number_bits: int) -> int:
    """Return the number that a public key stands for: the first bits of its SHA-256."""
    digest = sha256(public_key).digest()
    return int.from_bytes(digest, "big") >> len(digest) * 8 - number_bits


def nearest(space: Space, spot: int) -> Iterator[int]:
    """Yield the free numbers n by ascending n XOR `spot`, as Kademlia orders nodes around a key.

    Halves of the mesh, of its halves and so on, are entered on the spot's side first, and left out where nothing is
    free: a candidate costs O(bits · log runs), however full the mesh is.
    """
    ahead = [(0, space.number_bits)]  # numbers that begin here and differ in so many last bits; the next one last
    while ahead:
        first, bits = ahead.pop()
        if not space.any_free(first, 1 << bits):
            continue
        if bits == 0:
            yield first
            continue
        half = 1 << bits - 1
        near = first | spot & half
        ahead += [(near ^ half, bits - 1), (near, bits - 1)]


@hookimpl
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    """Offer the built-in strategies."""
    return (
        IpamPlugin(name="random", summary="any free subnet, in random order", make=RandomStrategy),
        IpamPlugin(name="sequential", summary="the lowest free subnet first", make=SequentialStrategy),
        IpamPlugin(name="hash", summary="the free subnet nearest to a hash of the public key", make=HashStrategy),
        IpamPlugin(name="static", summary="the configured address and no other", make=StaticStrategy),
    )
