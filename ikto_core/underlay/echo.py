"""Sends packets for an answer: pings, or datagrams to a closed port where pings are not permitted. It blocks.

ICMP over a datagram socket needs no privilege where net.ipv4.ping_group_range has the process's group (icmp(7)); over
a raw socket it needs CAP_NET_RAW. Else an empty datagram goes to a port where nobody listens: the host's refusal
answers it.
"""

import errno
import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from select import select
from socket import (
    AF_INET,
    AF_INET6,
    AI_NUMERICHOST,
    IPPROTO_ICMP,
    IPPROTO_ICMPV6,
    IPPROTO_IP,
    IPPROTO_IPV6,
    SO_BINDTODEVICE,
    SO_MARK,
    SOCK_DGRAM,
    SOCK_RAW,
    SOL_SOCKET,
    getaddrinfo,
    socket,
)
from typing import Any

import msgspec

from ikto_core.values.addressing import Endpoint

_REQUEST: Mapping[int, int] = {AF_INET: 8, AF_INET6: 128}
_REPLY: Mapping[int, int] = {AF_INET: 0, AF_INET6: 129}  # RFC 792, RFC 4443
_PROTOCOL = {AF_INET: IPPROTO_ICMP, AF_INET6: IPPROTO_ICMPV6}
_MTU_DISCOVER = {AF_INET: (IPPROTO_IP, 10), AF_INET6: (IPPROTO_IPV6, 23)}  # linux/in.h, linux/in6.h
_RECVERR = {AF_INET: (IPPROTO_IP, 11), AF_INET6: (IPPROTO_IPV6, 25)}
_PROBE_PMTU = 3  # never fragment, and do not believe an earlier answer about the path
HEADERS = {AF_INET: 28, AF_INET6: 48}
"""Bytes of an IP packet without options before the data of a ping, or of a datagram."""

CLOSED_PORT = 1
"""tcpmux (RFC 1078), which hardly any host serves."""

_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN}


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How packets leave this host."""

    ifname: str = ""  # the interface that they must leave by; empty: any
    source: str = ""  # the source address; empty: as the route says
    fwmark: int = 0  # 0: none; without CAP_NET_ADMIN it is left out


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one packet."""

    size: int  # of the IP packet, in bytes
    method: str  # "ICMP" or "UDP"; empty: none is permitted
    rtt_s: float | None = None  # None: no answer
    failure: str = ""  # why it could not be sent; empty: it was


def echo(address: str, *, way: Way, size: int = 0, timeout_s: float = 1.0) -> Echo:
    """Send one packet that must not be fragmented to an address, and wait for the answer. Never raises.

    Args:
        address: An IP literal, with a `%scope` if it is link-local.
        way: How it leaves.
        size: Of the IP packet, in bytes; 0: 64 bytes of data.
        timeout_s: How long to wait.

    """
    ((family, _, _, _, target),) = getaddrinfo(address, CLOSED_PORT, type=SOCK_DGRAM, flags=AI_NUMERICHOST)
    size = max(size or HEADERS[family] + 64, HEADERS[family] + 8)
    method, refused = "ICMP", ""
    for kind, protocol in ((SOCK_DGRAM, _PROTOCOL[family]), (SOCK_RAW, _PROTOCOL[family]), (SOCK_DGRAM, 0)):
        method = "ICMP" if protocol else "UDP"
        try:
            with _opened(family, kind, protocol, way) as opened:
                began = time.monotonic()
                answered = _exchange(opened, target, size - HEADERS[family], timeout_s, icmp=bool(protocol))
                return Echo(size=size, method=method, rtt_s=time.monotonic() - began if answered else None)
        except PermissionError as error:
            refused = str(error.strerror)
        except OSError as error:
            return Echo(size=size, method=method, failure=os.strerror(error.errno) if error.errno else str(error))
    return Echo(size=size, method="", failure=f"not permitted: {refused}")


def knock(endpoint: Endpoint, *, way: Way, timeout_s: float = 1.0) -> str:
    """Send an empty datagram, which WireGuard discards, to an endpoint. Never raises.

    Returns "refused" if the host answers that the port is closed, "unreachable" if the network or the neighbour cache
    says that there is no such host, "silent" if nothing comes, as from a device; else why nothing could be sent.
    """
    ((family, _, _, _, target),) = getaddrinfo(*endpoint, type=SOCK_DGRAM, flags=AI_NUMERICHOST)
    try:
        with _opened(family, SOCK_DGRAM, 0, way) as opened:
            opened.setsockopt(*_RECVERR[AF_INET6 if family == AF_INET6 else AF_INET], 1)  # else only refusals are seen
            opened.connect(target)
            opened.send(b"")
            select([opened], [], [], timeout_s)
            opened.setblocking(False)
            opened.recv(1)
    except ConnectionRefusedError:
        return "refused"
    except BlockingIOError:
        return "silent"
    except OSError as error:
        return "unreachable" if error.errno in _UNREACHABLE else os.strerror(error.errno or 0)
    return "silent"


def largest_answered(address: str, *, way: Way, low: int, high: int, timeout_s: float = 0.5) -> int | None:
    """Return the largest size from `low` to just below `high` that is answered; None: not even `low` is.

    Takes about log2(high - low) waits of `timeout_s` at most.
    """
    if low >= high or echo(address, way=way, size=low, timeout_s=timeout_s).rtt_s is None:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if echo(address, way=way, size=middle, timeout_s=timeout_s).rtt_s is None:
            high = middle
        else:
            low = middle
    return low


@contextmanager
def _opened(family: int, kind: int, protocol: int, way: Way) -> Iterator[socket]:
    with socket(family, kind, protocol) as opened:
        opened.setsockopt(*_MTU_DISCOVER[AF_INET6 if family == AF_INET6 else AF_INET], _PROBE_PMTU)
        if way.ifname:
            opened.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, way.ifname.encode() + b"\0")
        if way.fwmark:
            _mark(opened, way.fwmark)
        if way.source:
            opened.bind((way.source, 0))
        yield opened


def _mark(opened: socket, fwmark: int) -> None:
    try:
        opened.setsockopt(SOL_SOCKET, SO_MARK, fwmark)
    except PermissionError:
        return  # the route of unmarked packets is the best guess


def _exchange(opened: socket, target: tuple[Any, ...], data_size: int, timeout_s: float, *, icmp: bool) -> bool:
    """Send, and return whether the answer came in time. Raises OSError if it can't be sent."""
    opened.connect((target[0], 0, *target[2:]) if icmp else target)
    token = os.urandom(8)
    data = token + bytes(data_size - len(token))
    family = AF_INET6 if opened.family == AF_INET6 else AF_INET
    opened.send(_request(family, data) if icmp else data)
    ends_at = time.monotonic() + timeout_s
    while (left_s := ends_at - time.monotonic()) > 0:
        if not select([opened], [], [], left_s)[0]:
            return False
        try:
            answer = opened.recv(65536)
        except ConnectionRefusedError:
            if icmp:
                continue
            return True
        except OSError as error:
            if error.errno in _UNREACHABLE:
                continue  # a neighbour that does not answer, or a router: the ping is lost
            raise
        if not icmp or _is_reply(family, answer, token):
            return True
    return False


def _request(family: int, data: bytes) -> bytes:
    """Return an echo request; the kernel fills in the checksum of ICMPv6, and the identifier of a datagram socket."""
    header = struct.pack("!BBHHH", _REQUEST[family], 0, 0, os.getpid() & 0xFFFF, 1)
    if family == AF_INET6:
        return header + data
    return header[:2] + struct.pack("!H", _checksum(header + data)) + header[4:] + data


def _is_reply(family: int, answer: bytes, token: bytes) -> bool:
    if family == AF_INET and answer[:1] >= b"\x40":  # a raw socket returns the IPv4 header
        answer = answer[(answer[0] & 15) * 4 :]
    return len(answer) >= 16 and answer[0] == _REPLY[family] and answer[8:16] == token


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    padded = data + bytes(len(data) % 2)
    total: int = sum(part for (part,) in struct.iter_unpack("!H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF)
