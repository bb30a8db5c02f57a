"""The contract of an IPAM strategy: it proposes the subnets that a node tries to claim, best first."""

from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Protocol

import msgspec

from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey


class IpamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a strategy. All of it is values: a strategy uses no clock, no socket and no stored state."""

    mesh_cidr: Prefix
    subnet_prefix: int  # length of the subnets to propose
    public_key: PublicKey  # of the requesting node
    name: str  # the node's name; may be empty
    taken: frozenset[Prefix]  # prefixes not available, of any length: held by other nodes or reserved by the operator
    random: Random  # the only source of randomness
    settings: Any = None  # what `settings` of the plugin's record describes, from the configuration; None: it has none


class IpamStrategy(Protocol):
    """Proposes subnets to claim, by a contract of eleven clauses.

    I1. Every candidate is a subnet of `request.subnet_prefix` bits inside the mesh; its host bits are zero.
    I2. No candidate is proposed twice.
    I3. The mesh's first subnet is never a candidate: its first address is the subnet-router anycast address of the
    whole mesh (RFC 4291 section 2.6.1). The last subnet is not a candidate either if it is an IPv4 /31 or /32, in which
    a device would have the mesh's broadcast address.
    I4. No candidate overlaps a prefix in `request.taken`, whatever its length.
    I5. The sequence of candidates is finite; in a full mesh it is empty.
    I6. Every free subnet is a candidate sooner or later.
    I7. Candidates depend on the request alone, and randomness on `request.random` alone: an equal request with an equal
    state of `request.random` has the same candidates, whatever was requested before.
    I8. A strategy that is declared deterministic draws nothing from `request.random`.
    I9. Candidates are computed lazily: the first ones cost no more in a huge mesh than in a small one.
    I10. Work grows with the size of `request.taken` and the number of candidates drawn, not with how full the mesh is.
    I11. A request that can't be served (for example, because the name encodes no location) raises an IktoError with a
    hint; nothing else is raised.
    """

    def candidates(self, request: IpamRequest) -> Iterable[Prefix]:
        """Return the subnets to try, best first."""
        ...


class IpamPlugin(msgspec.Struct, frozen=True, kw_only=True):
    """A strategy that a plugin provides: what its `ikto_register_ipam_strategies` returns."""

    name: str  # as in the setting `ipam`: lower case letters, digits and '-'
    summary: str  # one line
    make: Callable[[], IpamStrategy]
    settings: type[msgspec.Struct] | None = None  # describes the settings of this plugin; None: it takes none
