"""IP subnets and UDP endpoints as small values, cheap enough to keep a hundred thousand of them.

`ipaddress.ip_network` takes 8 µs to build and compares in Python. A `Prefix` is a tuple of bytes and an int: it hashes
and compares in C, and it is the form that netlink and the routing table use.
"""

import re
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple, Self

_SCOPE = re.compile(r"[^\s/:%]{1,15}")  # an interface name that the kernel accepts, or an interface index


class Prefix(NamedTuple):
    """A subnet: its network address in network byte order (4 or 16 bytes) and its length in bits.

    Host bits are always zero: create one with `parse` or `of`, not with the constructor.
    """

    address: bytes
    length: int

    @classmethod
    def of(cls, address: bytes, length: int) -> Self:
        """Return the subnet of `length` bits that contains `address`; ValueError if the length is out of range."""
        bits = len(address) * 8
        if not 0 <= length <= bits:
            raise ValueError(f"prefix length {length} is not 0 to {bits}")
        number = int.from_bytes(address, "big")
        if host := number & (1 << bits - length) - 1:
            address = (number - host).to_bytes(len(address), "big")
        return tuple.__new__(cls, (address, length))  # half the time of the constructor

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `ADDRESS/LENGTH` and clear the host bits; ValueError says what is wrong."""
        address, slash, length = text.partition("/")
        if not slash or not (length.isascii() and length.isdigit() and len(length) <= 3):
            raise ValueError(f"{text[:64]!r} is not of the form ADDRESS/LENGTH")
        return cls.of(parse_address(address), int(length))

    @property
    def bits(self) -> int:
        """32 for IPv4, 128 for IPv6."""
        return len(self.address) * 8

    @property
    def last(self) -> bytes:
        """The highest address of the subnet."""
        host_bits = self.bits - self.length
        return (int.from_bytes(self.address, "big") | (1 << host_bits) - 1).to_bytes(len(self.address), "big")

    @property
    def broadcast(self) -> bytes | None:
        """The broadcast address of an IPv4 subnet; None if it has none: IPv6, /31 and /32 (RFC 919, RFC 3021)."""
        return self.last if self.bits == 32 and self.length <= 30 else None

    def covers(self, other: "Prefix") -> bool:
        """Whether `other` is this subnet or lies inside it."""
        return other.length >= self.length and self.contains(other.address)

    def contains(self, address: bytes) -> bool:
        """Whether an address (4 or 16 bytes) is in this subnet."""
        network, length = self
        if len(address) != len(network):
            return False
        host_bits = len(network) * 8 - length
        return int.from_bytes(address, "big") >> host_bits == int.from_bytes(network, "big") >> host_bits

    def overlaps(self, other: "Prefix") -> bool:
        """Whether any address is in both. Two prefixes are either nested or disjoint."""
        return self.contains(other.address) if self.length <= other.length else other.contains(self.address)

    def __str__(self) -> str:
        address, length = self
        return f"{inet_ntop(AF_INET if len(address) == 4 else AF_INET6, address)}/{length}"


class Endpoint(NamedTuple):
    """A UDP address of a peer: an IP literal in RFC 5952 form (`%scope` allowed) and a port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `1.2.3.4:51820` or `[fd00::1]:51820`; ValueError says what is wrong. Host names are not resolved."""
        host, _, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text[:64]!r}: an IPv6 endpoint has the form [ADDRESS]:PORT")
        if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
            raise ValueError(f"{text[:64]!r} does not end in :PORT with a port from 1 to 65535")
        return cls(normalise_host(host), int(port))

    def __str__(self) -> str:
        host, port = self
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str) -> bytes:
    """Return an IP literal as 4 or 16 bytes in network order; ValueError if it is not an IP address."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):  # ValueError: an embedded NUL or a non-ASCII character
        raise ValueError(f"{text[:64]!r} is not an IP address") from None


def format_address(packed: bytes) -> str:
    """Return an address in RFC 5952 form."""
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed)


def normalise_host(host: str) -> str:
    """Return an IP literal in RFC 5952 form, with the `%scope` of an IPv6 address; ValueError if it is not one."""
    address, percent, scope = host.partition("%")
    if percent and not (":" in address and _SCOPE.fullmatch(scope)):
        raise ValueError(f"{host[:64]!r} is not an IP address")
    return format_address(parse_address(address)) + percent + scope
