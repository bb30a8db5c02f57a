"""Recognises a NATS server that has its address inside the mesh: the route into the mesh cuts it off. Pure."""

from ikto_core.errors import NatsError
from ikto_core.values.addressing import Prefix, parse_address

_IPV4_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96; RFC 4291, section 2.5.5.2

INSIDE_HINT = "give nats_url an address outside the mesh, or mesh_cidr a network that nothing else uses"


def is_inside(mesh: Prefix, address: str) -> bool:
    """Return whether an address is inside the mesh's network; False if the text is no address."""
    try:
        packed = parse_address(address.partition("%")[0])
    except ValueError:
        return False
    if packed.startswith(_IPV4_MAPPED) and len(packed) == 16:
        packed = packed[len(_IPV4_MAPPED) :]
    return mesh.covers(Prefix.of(packed, len(packed) * 8))


def inside_warning(server: str, address: str, mesh: Prefix) -> str:
    """Return the warning for a server (its URL without a user) that is reached at an address inside the mesh."""
    at = "" if address in server else f" is reached at {address}, which"
    return (
        f"{server}{at} is inside mesh_cidr {mesh}: once the device is up, packets to it go into the mesh,"
        " and NATS is cut off unless a node of the mesh has this address"
    )


def will_be_cut_off(mesh: Prefix, peer: str, source: str, own: str | None) -> bool:
    """Return whether the route into the mesh may cut off a connection from `source` to `peer`.

    `own`: the device's address; None: it has none yet. A connection from there goes through the mesh already.
    """
    return is_inside(mesh, peer) and source != own


def cut_off(error: NatsError, address: str, mesh: Prefix) -> NatsError:
    """Return the error of a dial to an address inside the mesh, with the probable reason."""
    return NatsError(f"{error}; {address} is inside mesh_cidr {mesh}, so packets to it go there", hint=INSIDE_HINT)
