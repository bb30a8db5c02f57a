"""Asks the kernel for addresses, links and routes: the three questions of `routes`, by struct (rtnetlink(7)).

pyroute2 could ask them too. It would be the largest library of an agent whose backend does not use it.
"""

import struct
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from os import strerror
from socket import AF_INET, AF_INET6, AF_NETLINK, AF_UNSPEC, NETLINK_ROUTE, SOCK_RAW, socket
from struct import Struct
from types import TracebackType
from typing import NamedTuple, Self

from ikto_core.underlay.paths import Address

_HEADER = Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_ATTRIBUTE = Struct("=HH")  # nlattr: length, type
_ADDRESS = Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_LINK = Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, changed
_ROUTE = Struct("=BBBBBBBBI")  # rtmsg: family, lengths of both ends, tos, table, protocol, scope, type, flags
_NUMBER = Struct("=I")
_ERROR = Struct("=i")

_REQUEST, _DUMP = 0x1, 0x300  # NLM_F_REQUEST, NLM_F_DUMP: linux/netlink.h
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_GETLINK, _GETADDR, _GETROUTE = 18, 22, 26  # RTM_*: linux/rtnetlink.h; an answer has the number before
_IFA_ADDRESS, _IFA_LOCAL = 1, 2  # linux/if_addr.h
_IFLA_IFNAME, _IFLA_MTU, _IFLA_LINKINFO, _IFLA_INFO_KIND = 3, 4, 18, 1  # linux/if_link.h
_RTA_DST, _RTA_OIF, _RTA_MARK = 1, 4, 16  # linux/rtnetlink.h
_TYPE_MASK = 0x3FFF

_RECEIVE_BYTES = 2**18
"""The kernel joins the messages of a dump up to 32 KiB; a link with many virtual functions has more in one."""


class LinkFacts(NamedTuple):
    """A link, without its addresses."""

    ifname: str
    kind: str | None  # IFLA_INFO_KIND; None: hardware or the loopback
    mtu: int  # bytes


class Rtnetlink:
    """A socket for questions; a context manager. All methods block until the kernel answers, and raise OSError."""

    def __init__(self) -> None:
        self._socket = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def addresses(self) -> list[tuple[int, Address]]:
        """Return the addresses of this host, each with the index of its link.

        A dump that a change interrupts may miss one; the change is an event, and makes the next look. The kernel also
        tells addresses that are none of IP: of Phonet (modems) and of MCTP (server management).
        """
        found = []
        for message in self._ask(_GETADDR, _ADDRESS.pack(AF_UNSPEC, 0, 0, 0, 0), _DUMP):
            family, *_, index = _ADDRESS.unpack_from(message)
            parts = _attributes(message, _ADDRESS.size)
            packed = parts.get(_IFA_LOCAL) or parts.get(_IFA_ADDRESS)  # IFA_ADDRESS may be the remote end's
            if packed and family in (AF_INET, AF_INET6):
                found.append((index, ip_address(packed)))
        return found

    def link(self, index: int) -> LinkFacts:
        """Return the link with an index."""
        (message,) = self._ask(_GETLINK, _LINK.pack(AF_UNSPEC, 0, index, 0, 0))
        parts = _attributes(message, _LINK.size)
        kind = _attributes(parts.get(_IFLA_LINKINFO, b"")).get(_IFLA_INFO_KIND)
        return LinkFacts(_text(parts[_IFLA_IFNAME]), _text(kind) if kind else None, *_NUMBER.unpack(parts[_IFLA_MTU]))

    def index_of_route(self, destination: Address, fwmark: int = 0) -> int | None:
        """Return the index of the link that leads to an address, for packets with this firewall mark (0: none)."""
        family = AF_INET if destination.version == 4 else AF_INET6
        payload = _ROUTE.pack(family, destination.max_prefixlen, 0, 0, 0, 0, 0, 0, 0)
        payload += _attribute(_RTA_DST, destination.packed)
        if fwmark:
            payload += _attribute(_RTA_MARK, _NUMBER.pack(fwmark))
        (message,) = self._ask(_GETROUTE, payload)
        packed = _attributes(message, _ROUTE.size).get(_RTA_OIF)
        return int(_NUMBER.unpack(packed)[0]) if packed else None

    def _ask(self, kind: int, payload: bytes, flags: int = 0) -> list[bytes]:
        """Return the messages of the answer, without their headers."""
        header = _HEADER.pack(_HEADER.size + len(payload), kind, _REQUEST | flags, 0, 0)
        self._socket.sendto(header + payload, (0, 0))
        answer: list[bytes] = []
        try:
            while True:
                for answered, message in _messages(self._socket.recv(_RECEIVE_BYTES)):
                    if answered == _NLMSG_DONE:
                        return answer
                    if answered == _NLMSG_ERROR:
                        number = -_ERROR.unpack_from(message)[0]
                        raise OSError(number, strerror(number))
                    answer.append(message)
                if not flags:
                    return answer
        except struct.error as error:
            raise OSError(f"netlink: {error}") from None


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the type and the rest of each message of a datagram."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, start)
        yield kind, data[start + _HEADER.size : start + length]
        start += max((length + 3) & ~3, _HEADER.size)


def _attribute(kind: int, payload: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind) + payload + bytes(-len(payload) % 4)


def _attributes(data: bytes, start: int = 0) -> Mapping[int, bytes]:
    """Return the attributes of a message by type; the last of each."""
    found = {}
    while start + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        found[kind & _TYPE_MASK] = data[start + _ATTRIBUTE.size : start + length]
        start += max((length + 3) & ~3, _ATTRIBUTE.size)
    return found


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode(errors="surrogateescape")
