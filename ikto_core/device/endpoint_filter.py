"""Which endpoints are never written, whatever a record says. Pure.

An endpoint at this host itself, or at many hosts, makes a device send its packets to itself or to any listener. One
inside the mesh is a loop: every packet is encrypted and sent into the mesh again, as fast as the host can.
"""

from ikto_core.values.addressing import Endpoint, Prefix, parse_address

_MAPPED = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96, IPv4-mapped addresses: RFC 4291, section 2.5.5.2
_UNSPECIFIED6 = bytes(16)
_LOOPBACK6 = bytes(15) + b"\x01"
_BROADCAST = b"\xff" * 4


def usable_endpoints(endpoints: tuple[Endpoint, ...], mesh: Prefix | None = None) -> tuple[Endpoint, ...]:
    """Return the endpoints that may be written, in the same order; the same tuple for all. `mesh` as in `refusal`."""
    usable = tuple(endpoint for endpoint in endpoints if refusal(endpoint, mesh) is None)
    return endpoints if len(usable) == len(endpoints) else usable


def refusal(endpoint: Endpoint, mesh: Prefix | None = None) -> str | None:
    """Return why an endpoint must never be written, None if it may be; an IPv4-mapped address counts as that address.

    Args:
        endpoint: The endpoint, link-local ones with a scope included.
        mesh: The mesh's network; None: unknown, so addresses inside it are not refused.

    """
    packed = parse_address(endpoint.host.partition("%")[0]).removeprefix(_MAPPED)
    if mesh and _is_inside(packed, mesh):
        return f"inside the mesh {mesh}"
    return _kind_of_ipv4(packed) if len(packed) == 4 else _kind_of_ipv6(packed)


def _is_inside(packed: bytes, mesh: Prefix) -> bool:
    """Return whether an address is inside the mesh; `Prefix.covers` takes ten times as long, at every full pass."""
    if len(packed) != len(mesh.address):
        return False
    return not (int.from_bytes(packed) ^ int.from_bytes(mesh.address)) >> (len(packed) * 8 - mesh.length)


def _kind_of_ipv4(packed: bytes) -> str | None:
    if packed[0] == 127:
        return "a loopback address"
    if packed[0] == 0:  # "this network", RFC 1122, section 3.2.1.3
        return "an unspecified address"
    if packed[0] >> 4 == 14:
        return "a multicast address"
    return "the broadcast address" if packed == _BROADCAST else None


def _kind_of_ipv6(packed: bytes) -> str | None:
    if packed == _LOOPBACK6:
        return "a loopback address"
    if packed == _UNSPECIFIED6:
        return "an unspecified address"
    return "a multicast address" if packed[0] == 255 else None
