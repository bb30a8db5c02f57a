"""A client of one generic netlink family: requests, acknowledgements and dumps over a socket of the system."""

import os
import socket
import sys
from collections.abc import Iterable, Iterator
from errno import EINTR, ENOBUFS, ENOENT
from struct import Struct

from ikto_backends.netlink.attributes import attribute, attributes

_GENERIC = 16  # NETLINK_GENERIC, which is also the number of its controller (GENL_ID_CTRL)
_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_REQUEST, _ACK, _DUMP, _DUMP_INTERRUPTED, _ACK_TLVS = 1, 4, 0x300, 0x10, 0x200
_ERROR, _DONE = 2, 3
_GET_FAMILY, _FAMILY_ID, _FAMILY_NAME = 3, 1, 2
_EXT_ACK_TEXT = 1

_HEADER = Struct("=IHHII")  # length, type, flags, sequence number, port
_GENERIC_HEADER = Struct("=BBxx")  # command, version
_ERRNO = Struct("=i")
_HEADERS = _HEADER.size + _GENERIC_HEADER.size
_RECEIVE_BYTES = 1 << 16  # the kernel's largest part of a dump is 32 KiB
_TIMEOUT_S = 60.0  # an answer of the kernel does not get lost; should it, we don't hang
_DUMP_TRIES = 20


class GenericNetlink:
    """Talk to a family by name. Calls block: run them in one thread, by turns.

    What is sent goes through one socket, for a small write costs no more than opening one; whatever fails closes it.
    Each dump has a socket of its own. So nothing that a call leaves behind (an unread answer, an overrun buffer) can
    meet the next. All raise OSError with the kernel's number and text; ENOENT if there is no such family.
    """

    def __init__(self, family: str) -> None:
        self._family = family
        self._number: int | None = None
        self._connection: socket.socket | None = None

    def close(self) -> None:
        """Close the socket; the next call opens another one."""
        connection, self._connection = self._connection, None
        if connection:
            connection.close()

    def send(self, command: int, payloads: Iterable[bytes]) -> None:
        """Send messages one by one, each once the kernel has carried out the one before; stop at the first error."""
        if self._connection is None:
            self._connection = _open()
        try:
            self._send(self._connection, command, payloads)
        except BaseException:
            self.close()
            raise

    def _send(self, connection: socket.socket, command: int, payloads: Iterable[bytes]) -> None:
        number = self._resolved(connection)
        for sequence, payload in enumerate(payloads, start=2):
            connection.send(_message(number, _REQUEST | _ACK, sequence, command, payload))
            for _ in receive_answers(connection, sequence):
                pass

    def dump(self, command: int, payload: bytes) -> list[bytes]:
        """Return the payloads of a dump that nothing changed meanwhile; EINTR if it was changed again and again."""
        for _ in range(_DUMP_TRIES):
            try:
                with _open() as connection:
                    connection.send(_message(self._resolved(connection), _REQUEST | _DUMP, 2, command, payload))
                    return list(receive_answers(connection, 2))
            except OSError as error:  # ENOBUFS: a part of the answer is lost
                if error.errno not in {EINTR, ENOBUFS}:
                    raise
        raise OSError(EINTR, "the device was changed each time that it was read")

    def _resolved(self, connection: socket.socket) -> int:
        """Return the family's number; it stays for as long as its module is loaded."""
        if self._number is None:
            name = attribute(_FAMILY_NAME, self._family.encode() + b"\0")
            connection.send(_message(_GENERIC, _REQUEST | _ACK, 1, _GET_FAMILY, name))
            for answer in receive_answers(connection, 1):
                for kind, start, end in attributes(answer):
                    if kind == _FAMILY_ID:
                        self._number = int.from_bytes(answer[start:end], sys.byteorder)
        if self._number is None:
            raise OSError(ENOENT, f"the kernel does not know the netlink family {self._family!r}")
        return self._number


def _open() -> socket.socket:
    connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _GENERIC)
    try:
        connection.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)  # errors come with a text,
        connection.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)  # and without a copy of the request
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
    """Yield the payloads that answer one request, until it is done; OSError if it failed."""
    while True:
        data = connection.recv(_RECEIVE_BYTES)
        for kind, flags, number, body in _messages(data):
            if number != sequence:
                continue
            if flags & _DUMP_INTERRUPTED:
                raise InterruptedError(EINTR, "the device was changed while it was read")
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
    """Raise what an NLMSG_ERROR or an NLMSG_DONE tells; zero is an acknowledgement."""
    code = -_ERRNO.unpack_from(body)[0] if len(body) >= _ERRNO.size else 0
    if not code:
        return
    text = os.strerror(code)
    if has_text:
        for kind, start, end in attributes(body, _ERRNO.size + _HEADER.size):
            if kind == _EXT_ACK_TEXT:
                text += f" ({body[start:end].rstrip(bytes(1)).decode(errors='replace')})"
    raise OSError(code, text)
