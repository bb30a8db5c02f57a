"""The built-in IPAM strategies; docs/ipam.md says which to choose."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from random import Random

from ikto_core.plugins import IpamPlugin, IpamRequest, Prefix, PublicKey, Space, hookimpl


class RandomStrategy:
    """Every free subnet is equally likely, so nodes that start at once rarely choose the same one."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield all free subnets in uniformly random order.

        Each candidate costs one draw, however full or large the mesh is: the draw is an index into the free subnets.
        Memory grows with the candidates drawn, not with the mesh.
        """
        space = Space.of(request)
        for index in shuffled(space.free, request.random):
            yield space.subnet(space.nth_free(index))


class SequentialStrategy:
    """The lowest free subnet first, so addresses show the order in which nodes joined."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield all free subnets in ascending order."""
        space = Space.of(request)
        for run in space.runs:
            yield from map(space.subnet, range(run.first, run.end))


class HashStrategy:
    """A node finds the same subnet again by its public key alone, without a saved claim or a record."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield all free subnets, the nearest to the hash of the public key first.

        The key determines the order of all subnets. Taken subnets are skipped; they do not change the order.
        """
        space = Space.of(request)
        yield from map(space.subnet, nearest(space, hash_position(request.public_key, space.number_bits)))


class StaticStrategy:
    """Proposes nothing, so that the node uses the configured address or none."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:  # noqa: ARG002 - the interface has it
        """Yield nothing. The configuration check rejects this strategy with `private_address` "auto"."""
        yield from ()


def shuffled(count: int, random: Random) -> Iterator[int]:
    """Yield 0 to `count` - 1, each once, in uniformly random order: a Fisher-Yates shuffle that stores only moves."""
    moved: dict[int, int] = {}
    for last in range(count - 1, -1, -1):
        pick = random.randrange(last + 1)
        yield moved.get(pick, pick)
        moved[pick] = moved.pop(last, last)


def hash_position(public_key: PublicKey, number_bits: int) -> int:
    """Return the subnet number that a public key hashes to: the first bits of its SHA-256."""
    digest = sha256(public_key).digest()
    return int.from_bytes(digest, "big") >> len(digest) * 8 - number_bits


def nearest(space: Space, position: int) -> Iterator[int]:
    """Yield the free numbers n by ascending n XOR `position`, as Kademlia orders nodes around a key.

    This is a depth-first walk of the binary tree of prefixes: the half that contains `position` first, and no half
    without free numbers. A candidate costs O(bits · log runs), however full the mesh is.
    """
    stack = [(0, space.number_bits)]  # first number of a range, and log2 of its length; the next range is last
    while stack:
        first, bits = stack.pop()
        if not space.any_free(first, 1 << bits):
            continue
        if bits == 0:
            yield first
            continue
        half = 1 << bits - 1
        near = first | position & half
        stack += [(near ^ half, bits - 1), (near, bits - 1)]


@hookimpl
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    """Return the built-in strategies."""
    return (
        IpamPlugin(name="random", summary="any free subnet, in random order", make=RandomStrategy),
        IpamPlugin(name="sequential", summary="the lowest free subnet first", make=SequentialStrategy),
        IpamPlugin(name="hash", summary="the free subnet nearest to a hash of the public key", make=HashStrategy),
        IpamPlugin(name="static", summary="the configured address only", make=StaticStrategy),
    )
