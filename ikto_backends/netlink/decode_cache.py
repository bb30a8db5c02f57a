"""Endpoints and allowed IPs as the kernel tells them, and what was made of them: most peers tell the same each time."""

from collections.abc import Callable, Collection
from functools import partial
from socket import AF_INET, AF_INET6, if_indextoname, inet_ntoa, inet_ntop
from struct import Struct

from ikto_backends.netlink.attributes import HEADER, NESTED, AllowedIP, attribute, attributes
from ikto_core.plugins import Endpoint, Prefix

_FORGET_ABOVE = 1000
_FAMILY = Struct("=H")
_INET, _INET6 = _FAMILY.pack(AF_INET), _FAMILY.pack(AF_INET6)
_SOCKADDR_IN = Struct("!2sH4s8x")
_SOCKADDR_IN6 = Struct("!2xH4x16s")
_SCOPE = Struct("=I")

# A list of one allowed IP as Linux tells it, by its size: length, family and address are read in one go.
_ONE_ALLOWED_IP = {
    form.size: (
        form,
        HEADER.pack(form.size, NESTED) + HEADER.pack(5, AllowedIP.LENGTH),
        attribute(AllowedIP.FAMILY, family) + HEADER.pack(size, AllowedIP.ADDRESS),
    )
    for form, family, size in ((Struct("=8sBxxx12s4s"), _INET, 8), (Struct("=8sBxxx12s16s"), _INET6, 20))
}


# Made from pairs of values that are known to fit: in a third of the time that a call of the class takes.
_endpoint: Callable[[tuple[str, int]], Endpoint] = partial(tuple.__new__, Endpoint)
_prefix_of: Callable[[tuple[bytes, int]], Prefix] = partial(tuple.__new__, Prefix)


class DecodeCache:
    """What endpoints and lists of allowed IPs mean, each worked out when it is first seen. For one thread.

    A new one knows nothing; what a decode returns does not depend on what is known.

    Args:
        scope_name: Gives the name of the interface with a number, for a link-local endpoint's scope.

    """

    def __init__(self, scope_name: Callable[[int], str] = if_indextoname) -> None:
        self.endpoints = _Endpoints(scope_name)
        self.allowed_ips = _AllowedIPs()

    def learn(self, endpoints: Collection[bytes], allowed_ips: Collection[bytes]) -> None:
        """Work out together what many peers tell in the usual way, and was not seen before."""
        self.endpoints.learn(endpoints)
        self.allowed_ips.learn(allowed_ips)

    def trim(self, peers: int) -> None:
        """Forget everything if it has become much more than so many peers have."""
        for known in (self.endpoints, self.allowed_ips):
            if len(known) > 2 * peers + _FORGET_ABOVE:
                known.clear()


class _Endpoints(dict[bytes, "Endpoint | None"]):
    """Endpoints by their sockaddr; but one with a scope is worked out anew each time: interfaces change their names."""

    def __init__(self, scope_name: Callable[[int], str]) -> None:
        super().__init__()
        self._scope_name = scope_name

    def learn(self, raws: Collection[bytes]) -> None:
        """Work out those of IPv4."""
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
            raise ValueError(f"address family {raw[:2].hex()}")
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
        except (OSError, OverflowError):  # the interface has gone
            return str(number)


class _AllowedIPs(dict[bytes, frozenset[Prefix]]):
    """Sets of prefixes by the attributes that list them."""

    def learn(self, raws: Collection[bytes]) -> None:
        """Work out those with one allowed IP."""
        for size, (form, usual_head, usual_family) in _ONE_ALLOWED_IP.items():
            if new := [raw for raw in raws if len(raw) == size and raw not in self]:
                heads, lengths, families, addresses = zip(*form.iter_unpack(b"".join(new)), strict=True)
                if {*heads} == {usual_head} and {*families} == {usual_family} and max(lengths) <= 8 * len(addresses[0]):
                    prefixes = map(_prefix_of, zip(addresses, lengths, strict=True))
                    self.update(zip(new, map(frozenset, zip(prefixes, strict=True)), strict=True))

    def __missing__(self, raw: bytes) -> frozenset[Prefix]:
        only = _only(raw)
        self[raw] = found = frozenset((only,) if only else _each(raw))
        return found


def _only(raw: bytes) -> Prefix | None:
    """Return the allowed IP of a list that has only one, told in the usual way."""
    if usual := _ONE_ALLOWED_IP.get(len(raw)):
        form, usual_head, usual_family = usual
        head, length, family, address = form.unpack(raw)
        if head == usual_head and family == usual_family and length <= 8 * len(address):
            return Prefix(address, length)
    return None


def _each(raw: bytes) -> list[Prefix]:
    return [_prefix(raw, start, end) for _, start, end in attributes(raw)]


def _prefix(raw: bytes, start: int, end: int) -> Prefix:
    said = {kind: raw[first:last] for kind, first, last in attributes(raw, start, end)}
    address, (length,) = said[AllowedIP.ADDRESS], said[AllowedIP.LENGTH]
    if len(address) not in {4, 16} or length > 8 * len(address):
        raise ValueError(f"an allowed IP of {len(address)} bytes and {length} bits")
    return Prefix(address, length)
