"""A client for one generic netlink family: requests, acknowledgements and dumps over a raw socket."""

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from errno import EINTR, ENOBUFS, ENOENT
from struct import Struct

from ikto_backends.netlink.attributes import attribute, attributes

_GENERIC = 16  # NETLINK_GENERIC, and also the id of its controller (GENL_ID_CTRL)
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_REQUEST, _ACK, _DUMP, _DUMP_INTERRUPTED, _ACK_TLVS = 1, 4, 0x300, 0x10, 0x200
_ERROR, _DONE = 2, 3
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2
_EXT_ACK_TEXT = 1

_HEADER = Struct("=IHHII")  # length, type, flags, sequence number, port
_GENERIC_HEADER = Struct("=BBxx")  # command, version
_ERRNO = Struct("=i")
_MAX_ERRNO = 2**31 - 1  # the largest that `strerror` takes; the negative of the smallest number is larger
_HEADERS = _HEADER.size + _GENERIC_HEADER.size
_RECEIVE_BYTES = 1 << 16  # the kernel sends a dump in parts of at most 32 KiB
_TIMEOUT_S = 60.0  # the kernel always answers; this is a guard against waiting forever
_DUMP_TRIES = 20


class GenericNetlink:
    """Send requests to a family by name. Calls block and are not thread-safe: run them in one thread.

    Writes share one socket, because opening one costs as much as a small write; an error closes it. Each dump opens
    its own socket. So an unread answer or an overflowed buffer of one call can't affect the next. Methods raise
    OSError with the kernel's error number and text; ENOENT if the kernel does not know the family.
    """

    def __init__(self, family: str) -> None:
        self._family = family
        self._id: int | None = None
        self._connection: socket.socket | None = None

    def close(self) -> None:
        """Close the socket; the next write opens another one."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def send(self, command: int, payloads: Iterable[bytes]) -> None:
        """Send messages one by one, each after the kernel has acknowledged the one before. Stop at the first error."""
        if self._connection is None:
            self._connection = _open()
        try:
            self._send(self._connection, command, payloads)
        except BaseException:
            self.close()
            raise

    def _send(self, connection: socket.socket, command: int, payloads: Iterable[bytes]) -> None:
        number = self._family_id(connection)
        for sequence, payload in enumerate(payloads, start=2):
            connection.send(_message(number, _REQUEST | _ACK, sequence, command, payload))
            for _ in receive_answers(connection, sequence):
                pass

    def dump(self, command: int, payload: bytes) -> list[bytes]:
        """Return the payloads of a consistent dump; EINTR if a change interrupts every attempt."""
        for _ in range(_DUMP_TRIES):
            try:
                with _open() as connection:
                    connection.send(_message(self._family_id(connection), _REQUEST | _DUMP, 2, command, payload))
                    return list(receive_answers(connection, 2))
            except OSError as error:  # ENOBUFS: a part of the answer was lost
                if error.errno not in {EINTR, ENOBUFS}:
                    raise
        raise OSError(EINTR, f"the device changed during each of {_DUMP_TRIES} reads")

    def _family_id(self, connection: socket.socket) -> int:
        """Return the family's id, which is fixed while its kernel module is loaded."""
        if self._id is None:
            name = attribute(_FAMILY_NAME, self._family.encode() + b"\0")
            connection.send(_message(_GENERIC, _REQUEST | _ACK, 1, _GET_FAMILY, name))
            for answer in receive_answers(connection, 1):
                for kind, start, end in attributes(answer):
                    if kind == _FAMILY_ID:
                        self._id = int.from_bytes(answer[start:end], sys.byteorder)
        if self._id is None:
            raise OSError(ENOENT, f"the kernel does not know the netlink family {self._family!r}")
        return self._id


def _open() -> socket.socket:
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _GENERIC)
    try:
        connection.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)  # errors contain a text,
        connection.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)  # but no copy of the request
        connection.settimeout(_TIMEOUT_S)
        connection.bind((0, 0))
    except OSError:
        connection.close()
        raise
    return connection


def _message(kind: int, flags: int, sequence: int, command: int, payload: bytes) -> bytes:
    header = _HEADER.pack(_HEADERS + len(payload), kind, flags, sequence, 0)
    return header + _GENERIC_HEADER.pack(command, 1) + payload


def receive_answers(connection: socket.socket, sequence: int) -> Iterator[bytes]:
    """Yield the payloads that answer one request, until its end.

    Raises OSError if it failed, BackendError if the kernel's reason can't be read.
    """
    while True:
        data = connection.recv(_RECEIVE_BYTES)
        for kind, flags, number, body in _messages(data):
            if number != sequence:
                continue
            if flags & _DUMP_INTERRUPTED:
                raise InterruptedError(EINTR, "the device changed during the read")
            if kind in {_ERROR, _DONE}:
                _raise_for(body, has_text=kind == _ERROR and bool(flags & _ACK_TLVS))
                return
            yield body[_GENERIC_HEADER.size :]


def _messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the type, flags, sequence number and body of each netlink message of a datagram."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, start)
        if length < _HEADER.size:
            return
        yield kind, flags, sequence, data[start + _HEADER.size : start + length]
        start += (length + 3) & ~3


def _raise_for(body: bytes, *, has_text: bool) -> None:
    """Raise the error of an NLMSG_ERROR or NLMSG_DONE body; return if its number is zero, an acknowledgement."""
    code = -_ERRNO.unpack_from(body)[0] if len(body) >= _ERRNO.size else 0
    if not code:
        return
    text = os.strerror(min(code, _MAX_ERRNO))
    if has_text:
        for kind, start, end in attributes(body, _ERRNO.size + _HEADER.size):
            if kind == _EXT_ACK_TEXT:
                text += f" ({body[start:end].rstrip(bytes(1)).decode(errors='replace')})"
    raise OSError(code, text)
