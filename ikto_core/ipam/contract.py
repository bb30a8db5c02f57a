"""The contract of an IPAM strategy: which subnets a node tries to claim, best first."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Protocol

import msgspec

from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


class IpamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a strategy may know. Everything is a value: a strategy has no clock, no socket, no state."""

    mesh_cidr: Prefix
    subnet_prefix: int  # length of the subnets to propose
    public_key: PublicKey  # who asks
    name: str  # the node's name; may be empty
    taken: frozenset[Prefix]  # what can't be had, of any length: others hold it, or the operator reserves it
    random: Random  # the only source of chance


class IpamStrategy(Protocol):
    """Propose subnets to claim, by a contract of eleven clauses.

    I1. Every candidate is a subnet of `request.subnet_prefix` bits inside the mesh; its host bits are zero.
    I2. No candidate comes twice.
    I3. The mesh's first subnet is never a candidate: its first address is the subnet-router anycast address of the
    whole mesh (RFC 4291 section 2.6.1). Nor is the last one if a device in it would have the mesh's IPv4 broadcast
    address: if it is a /31 or a /32.
    I4. No candidate overlaps any of `request.taken`, whatever the length of that.
    I5. Candidates end; in a mesh that is full there is none.
    I6. Every free subnet is a candidate in the end.
    I7. Candidates depend on the request alone, chance on `request.random` alone: the same request with the same state
    of it has the same candidates, whatever was asked before.
    I8. A strategy that promises to be deterministic draws nothing from `request.random`.
    I9. Candidates are found as they are drawn: the first of a huge mesh cost no more than those of a small one.
    I10. Work grows with `request.taken` and with what is drawn, however full the mesh is.
    I11. Who can't be served (because of a name that tells no place, for example) gets an IktoError with a hint;
    nothing else is raised.
    """

    def candidates(self, request: IpamRequest) -> Iterable[Prefix]:
        """Return subnets to try, best first."""
        ...


class IpamPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy on offer: what a plugin's `ikto_register_ipam_strategies` returns."""

    name: str  # as in `ipam` of the configuration: lower case letters, digits and '-'
    summary: str  # one line
    make: Callable[[], IpamStrategy]
