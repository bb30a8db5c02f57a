"""The IPAM strategy `rack`: a node's subnet by rack and position. Node `r12-u07` gets subnet number 12 * 64 + 7.

An IPAM strategy sees only its request (`ikto_core.plugins.IpamRequest`), so the location is encoded in the node's
name. An address then shows where its machine is, and one prefix covers a rack.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ikto_core.plugins import ConfigError, IpamPlugin, IpamRequest, Prefix, Space, hookimpl

POSITIONS = 64
"""Subnets per rack: a power of two, so that a rack is one prefix. Few racks have more than 48 units."""

_NAME = re.compile(r"r([0-9]{1,9})-u([0-9]{1,2})(\..*)?")


class Location(NamedTuple):
    """The rack and position of a machine."""

    rack: int
    position: int  # 1 to POSITIONS - 1, so that no location has the mesh's first subnet

    @property
    def number(self) -> int:
        """The number of the location's subnet in the mesh."""
        return self.rack * POSITIONS + self.position


class RackStrategy:
    """Proposes one subnet for each location."""

    def candidates(self, request: IpamRequest) -> Iterator[Prefix]:
        """Yield the subnet of the location in the node's name; nothing if it is taken.

        Raises ConfigError if the name contains no location, or one that the mesh has no room for.
        """
        location, space = location_of(request.name), Space.of(request)
        if location.number > space.total:
            racks = space.total // POSITIONS + 1
            raise ConfigError(
                f"name: {request.name!r} is outside the mesh {request.mesh_cidr}, which has room for {racks} racks",
                hint="use a mesh with a longer subnet_prefix or a larger mesh_cidr, or another ipam",
            )
        if space.any_free(location.number):
            yield space.subnet(location.number)


def location_of(name: str) -> Location:
    """Return the location in a node's name, with or without a domain; ConfigError if it contains none."""
    match = _NAME.fullmatch(name)
    if match is None or not 1 <= int(match[2]) < POSITIONS:
        raise ConfigError(
            f"name: {name!r} contains no rack and position",
            hint=f"use a name such as r12-u07 (rack 12, position 1 to {POSITIONS - 1}), or another ipam",
        )
    return Location(int(match[1]), int(match[2]))


@hookimpl
def ikto_register_ipam_strategies() -> Iterable[IpamPlugin]:
    """Register the strategy `rack`."""
    summary = "by rack and position, from a node name such as r12-u07"
    return (IpamPlugin(name="rack", summary=summary, make=RackStrategy),)
