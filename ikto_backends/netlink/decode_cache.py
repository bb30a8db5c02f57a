"""A cache of decoded endpoints and allowed IPs: most peers have the same ones in every dump."""

from collections.abc import Callable, Collection
from functools import partial
from socket import AF_INET, AF_INET6, if_indextoname, inet_ntoa, inet_ntop
from struct import Struct

from ikto_backends.netlink.attributes import HEADER, NESTED, AllowedIP, attribute, attributes
from ikto_core.plugins import Endpoint, Prefix

_SPARE_ENTRIES = 1000
_FAMILY = Struct("=H")
_INET, _INET6 = _FAMILY.pack(AF_INET), _FAMILY.pack(AF_INET6)
_SOCKADDR_IN = Struct("!2sH4s8x")
_SOCKADDR_IN6 = Struct("!2xH4x16s")
_SCOPE = Struct("=I")

# The layout of a list of one allowed IP as Linux writes it, by its size: unpacked with one call.
_ONE_ALLOWED_IP = {
    layout.size: (
        layout,
        HEADER.pack(layout.size, NESTED) + HEADER.pack(5, AllowedIP.LENGTH),
        attribute(AllowedIP.FAMILY, family) + HEADER.pack(size, AllowedIP.ADDRESS),
    )
    for layout, family, size in ((Struct("=8sBxxx12s4s"), _INET, 8), (Struct("=8sBxxx12s16s"), _INET6, 20))
}


# Build from values that are known to be valid: takes a third of the time of calling the class.
_endpoint: Callable[[tuple[str, int]], Endpoint] = partial(tuple.__new__, Endpoint)
_prefix_of: Callable[[tuple[bytes, int]], Prefix] = partial(tuple.__new__, Prefix)


class DecodeCache:
    """Decoded endpoints and allowed IPs by their bytes, each decoded at first use. Not thread-safe.

    The content of the cache never changes the result of a decode.

    Args:
        scope_name: Returns the name of the interface with an index, for the scope of a link-local endpoint.

    """

    def __init__(self, scope_name: Callable[[int], str] = if_indextoname) -> None:
        self.endpoints = _EndpointCache(scope_name)
        self.allowed_ips = _AllowedIPsCache()

    def fill(self, endpoints: Collection[bytes], allowed_ips: Collection[bytes]) -> None:
        """Decode the common cases among many peers together, where they are not cached yet."""
        self.endpoints.fill(endpoints)
        self.allowed_ips.fill(allowed_ips)

    def trim(self, peers: int) -> None:
        """Empty a cache that has many more entries than a device with this many peers needs."""
        for cache in (self.endpoints, self.allowed_ips):
            if len(cache) > 2 * peers + _SPARE_ENTRIES:
                cache.clear()


class _EndpointCache(dict[bytes, "Endpoint | None"]):
    """Endpoints by their sockaddr. One with a scope is never cached: interfaces can be renamed."""

    def __init__(self, scope_name: Callable[[int], str]) -> None:
        super().__init__()
        self._scope_name = scope_name

    def fill(self, raws: Collection[bytes]) -> None:
        """Decode the IPv4 endpoints."""
        if new := [raw for raw in raws if len(raw) == _SOCKADDR_IN.size and raw not in self]:
            families, ports, addresses = zip(*_SOCKADDR_IN.iter_unpack(b"".join(new)), strict=True)
            if set(families) == {_INET}:
                hosts = map(inet_ntoa, addresses)
                self.update(zip(new, map(_endpoint, zip(hosts, ports, strict=True)), strict=True))

    def __missing__(self, raw: bytes) -> Endpoint | None:
        if not raw:
            return self.setdefault(raw, None)
        if raw.startswith(_INET):
            _, port, address = _SOCKADDR_IN.unpack_from(raw)
            self[raw] = endpoint = Endpoint(inet_ntop(AF_INET, address), port)
            return endpoint
        if not raw.startswith(_INET6):
            raise ValueError(f"unknown address family {raw[:2].hex()}")
        port, address = _SOCKADDR_IN6.unpack_from(raw)
        host = inet_ntop(AF_INET6, address)
        (scope,) = _SCOPE.unpack_from(raw, 24)
        if scope:
            return Endpoint(f"{host}%{self._scope(scope)}", port)
        self[raw] = endpoint = Endpoint(host, port)
        return endpoint

    def _scope(self, number: int) -> str:
        try:
            return self._scope_name(number)
        except (OSError, OverflowError):  # the interface was deleted
            return str(number)


class _AllowedIPsCache(dict[bytes, frozenset[Prefix]]):
    """Sets of prefixes by the bytes of the attribute that lists them."""

    def fill(self, raws: Collection[bytes]) -> None:
        """Decode the lists of one allowed IP."""
        for size, (layout, header, family) in _ONE_ALLOWED_IP.items():
            if new := [raw for raw in raws if len(raw) == size and raw not in self]:
                headers, lengths, families, addresses = zip(*layout.iter_unpack(b"".join(new)), strict=True)
                if {*headers} == {header} and {*families} == {family} and max(lengths) <= 8 * len(addresses[0]):
                    prefixes = map(_prefix_of, zip(addresses, lengths, strict=True))
                    self.update(zip(new, map(frozenset, zip(prefixes, strict=True)), strict=True))

    def __missing__(self, raw: bytes) -> frozenset[Prefix]:
        single = _single_prefix(raw)
        self[raw] = found = frozenset((single,) if single else _all_prefixes(raw))
        return found


def _single_prefix(raw: bytes) -> Prefix | None:
    """Return the allowed IP of a list of one in Linux's layout; None for any other list."""
    if common := _ONE_ALLOWED_IP.get(len(raw)):
        layout, common_header, common_family = common
        header, length, family, address = layout.unpack(raw)
        if header == common_header and family == common_family and length <= 8 * len(address):
            return Prefix(address, length)
    return None


def _all_prefixes(raw: bytes) -> list[Prefix]:
    return [_prefix(raw, start, end) for _, start, end in attributes(raw)]


def _prefix(raw: bytes, start: int, end: int) -> Prefix:
    fields = {kind: raw[first:last] for kind, first, last in attributes(raw, start, end)}
    address, (length,) = fields[AllowedIP.ADDRESS], fields[AllowedIP.LENGTH]
    if len(address) not in {4, 16} or length > 8 * len(address):
        raise ValueError(f"an allowed IP of {len(address)} bytes and prefix length {length}")
    return Prefix(address, length)
