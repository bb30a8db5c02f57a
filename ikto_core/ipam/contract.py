"""The contract of an IPAM strategy: which subnets a node tries to claim, best first."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

import msgspec

from ikto_core.addressing import Prefix
from ikto_core.keys import PublicKey


class IpamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may know. Everything is a value: a strategy has no clock, no socket, no state."""

    mesh_cidr: Prefix
    subnet_prefix: int  # length of the subnets to propose
    public_key: PublicKey  # who asks
    name: str  # the node's name; may be empty
    taken: frozenset[Prefix]  # subnets that others hold, of any length
    random: Random  # the only source of chance


class IpamStrategy(Protocol):
    """Propose subnets to claim."""

    def candidates(self, request: IpamRequest) -> Iterable[Prefix]:
        """Yield free subnets of `request.subnet_prefix` inside the mesh, best first, none twice.

        The first subnet of the mesh is never proposed: its first address is the subnet-router anycast address of
        the whole mesh (RFC 4291 section 2.6.1). Ends when the strategy has no more to offer.
        """
        ...


class IpamPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy on offer: what a plugin's `ikto_register_ipam_strategies` returns."""

    name: str  # as in `ipam` of the configuration: lower case letters, digits and '-'
    summary: str  # one line
    make: Callable[[], IpamStrategy]
