"""Subnets by rack and position: node `r12-u07` gets subnet 7 of block 12, counted from 0, of 64 each.

An IPAM strategy sees nothing but its request (ikto_core.ipam.contract), so the place must be in there: it is in the
node's name. Whoever looks at an address then knows where the machine stands, and one prefix covers a rack.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ikto_core.plugins import ConfigError, IpamPlugin, IpamRequest, Prefix, Space, hookimpl

POSITIONS = 64
"""Subnets of a rack. A power of two makes a rack one prefix; few racks have more than 48 units."""

_NAME = re.compile(r"r([0-9]{1,9})-u([0-9]{1,2})(\..*)?")


class Place(NamedTuple):
    """Where a machine stands."""

    rack: int
    position: int  # 1 to POSITIONS - 1, so that no place has the mesh's first subnet

    @property
    def number(self) -> int:
        """The number of its subnet in the mesh."""
        return self.rack * POSITIONS + self.position


class RackStrategy:
    """A place has one subnet: who stands there gets it, or none."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield the subnet of the place that the node's name tells; nothing if it is taken.

        Raises ConfigError if the name tells no place, or one beyond the mesh.
        """
        place, space = place_of(request.name), Space.of(request)
        if place.number > space.total:
            racks = space.total // POSITIONS + 1
            raise ConfigError(
                f"name: {request.name!r} is beyond the mesh {request.mesh_cidr}, which has room for {racks} racks",
                hint="build a mesh with a longer subnet_prefix or a larger mesh_cidr, or another ipam",
            )
        if space.any_free(place.number):
            yield space.subnet(place.number)


def place_of(name: str) -> Place:
    """Return the place that a node's name tells, be it with a domain or without; ConfigError if it tells none."""
    found = _NAME.fullmatch(name)
    if found is None or not 1 <= int(found[2]) < POSITIONS:
        raise ConfigError(
            f"name: {name!r} tells no rack and position",
            hint=f"use a name such as r12-u07 (rack 12, position 1 to {POSITIONS - 1}), or another ipam",
        )
    return Place(int(found[1]), int(found[2]))


@hookimpl
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    """Offer the strategy `rack`."""
    return (IpamPlugin(name="rack", summary="by rack and position, from a name such as r12-u07", make=RackStrategy),)
