"""The generic netlink client, with a family that every kernel has, and with answers that are rare in practice."""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from errno import EINTR, EINVAL, ENOENT
from pathlib import Path

import pytest

from ikto_backends.netlink.attributes import attribute, attributes
from ikto_backends.netlink.generic import GenericNetlink, receive_answers

pytestmark = pytest.mark.skipif(not Path("/proc/net/netlink").exists(), reason="netlink exists on Linux only")
GET_FAMILY, FAMILY_NAME = 3, 2
ERROR, DONE, INTERRUPTED, TLVS = 2, 3, 0x10, 0x200


def test_a_dump_contains_every_family() -> None:
    families = GenericNetlink("nlctrl").dump(GET_FAMILY, b"")
    names = {part[s:e] for part in families for kind, s, e in attributes(part) if kind == FAMILY_NAME}
    assert b"nlctrl\0" in names


def test_an_unknown_family_is_enoent() -> None:
    with pytest.raises(OSError) as caught:  # noqa: PT011 - the error number is compared
        GenericNetlink("ikto-none").send(0, [b""])
    assert caught.value.errno == ENOENT


def test_sending_stops_at_the_first_error_with_its_number() -> None:
    family = GenericNetlink("nlctrl")
    family.send(GET_FAMILY, [attribute(FAMILY_NAME, b"nlctrl\0")] * 3)
    with pytest.raises(OSError) as caught:  # noqa: PT011
        family.send(GET_FAMILY, [attribute(FAMILY_NAME, b"nlctrl\0"), attribute(FAMILY_NAME, b"x" * 99)])
    assert caught.value.errno


def test_one_socket_is_used_until_an_error_closes_it() -> None:
    def sockets() -> int:
        return len([entry for entry in Path("/proc/self/fd").iterdir() if entry.is_socket()])

    before, family, name = sockets(), GenericNetlink("nlctrl"), attribute(FAMILY_NAME, b"nlctrl\0")
    for _ in range(2):
        family.send(GET_FAMILY, [name] * 2)
        assert sockets() == before + 1
    with pytest.raises(OSError, match=r".+"):
        family.send(GET_FAMILY, [attribute(FAMILY_NAME, b"x" * 99)])
    assert sockets() == before
    with closing(family):
        family.send(GET_FAMILY, [name])
    assert sockets() == before


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    client, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with client, kernel:
        yield client, kernel


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) % 4)


def test_parts_are_collected_and_other_sequence_numbers_ignored(pair: tuple[socket.socket, socket.socket]) -> None:
    client, kernel = pair
    kernel.send(message(30, 2, 7, b"HEADone") + message(30, 2, 6, b"HEADother") + message(30, 2, 7, b"HEADtwo"))
    kernel.send(message(DONE, 2, 7, struct.pack("=i", 0)))
    assert list(receive_answers(client, 7)) == [b"one", b"two"]


@pytest.mark.parametrize("flags", [0, TLVS])
def test_an_error_contains_the_kernels_text(pair: tuple[socket.socket, socket.socket], flags: int) -> None:
    client, kernel = pair
    text = attribute(1, b"invalid key\0") if flags else b""
    kernel.send(message(ERROR, flags, 7, struct.pack("=i", -EINVAL) + bytes(16) + text))
    with pytest.raises(OSError, match=r"invalid key" if flags else r"Invalid argument$") as caught:
        list(receive_answers(client, 7))
    assert caught.value.errno == EINVAL


def test_an_error_number_that_no_kernel_has_is_an_os_error(pair: tuple[socket.socket, socket.socket]) -> None:
    client, kernel = pair
    kernel.send(message(ERROR, 0, 7, struct.pack("=i", -(2**31)) + bytes(16)))
    with pytest.raises(OSError, match="Unknown error"):
        list(receive_answers(client, 7))


@pytest.mark.parametrize(
    "last",
    [
        message(30, 2 | INTERRUPTED, 7, b"HEADtwo"),
        message(DONE, 2 | INTERRUPTED, 7, struct.pack("=i", 0)),
        message(DONE, 2, 7, struct.pack("=i", -EINTR)),
    ],
)
def test_a_dump_during_a_change_is_interrupted(pair: tuple[socket.socket, socket.socket], last: bytes) -> None:
    client, kernel = pair
    kernel.send(message(30, 2, 7, b"HEADone") + last)
    with pytest.raises(InterruptedError):
        list(receive_answers(client, 7))
