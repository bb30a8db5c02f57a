"""What the kernel and the program `wg` say about a device."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest import mock

from ikto_backends.netlink.decode import decode, decode_peers
from ikto_backends.netlink.decode_cache import DecodeCache
from ikto_backends.netlink.generic import receive_answers
from ikto_core.linux.dump import parse_dump, parse_keys, parse_peers
from ikto_core.linux.link import link_batch, parse_event, parse_link
from ikto_core.plugins import BackendError, DevicePatch, DeviceState
from tests.fuzz.target import Check, RefusedError, Target, without_preparation

MESSAGE = b"\n--\n"
"""What separates the messages of a dump, or the datagrams of an answer."""

SEQUENCE = 2
_DONE = (20).to_bytes(4, "little") + b"\3\0\0\0" + SEQUENCE.to_bytes(4, "little") + bytes(8)
NETLINK_WORDS = (
    *(bytes([size, 0, kind, 0]) for size, kind in ((36, 1), (36, 2), (20, 4), (32, 4), (6, 5), (20, 6), (12, 7))),
    *(bytes([size, 0, kind, 0x80]) for size, kind in ((4, 8), (4, 9), (28, 0), (40, 0), (136, 0))),
    *(b"\2\0", b"\n\0", bytes(4), bytes(16), bytes(32), b"\xff" * 8, b"\4\0\0\0", b"\3\0\0\0", MESSAGE),
)  # fmt: skip
DUMP_WORDS = (b"(none)", b"off", b"\t", b"\n", b"0x1", b"0.0.0.0/0", b"::/0,", b"[fe80::1%eth0]:1", b"\x0b", b"\x85")


def check_dump(data: bytes) -> None:
    """Read the output of `wg show IFNAME dump`, and of `wg show IFNAME peers`."""
    text = data.decode(errors="replace")
    with suppress(ValueError):
        parse_keys(text)
    state = parse_dump(text)
    assert parse_peers(text, state.peers.keys()) == state.peers
    _check_values(state)


def _check_values(state: DeviceState) -> None:
    assert 0 <= state.listen_port < 2**16
    assert 0 <= state.fwmark < 2**32
    for key, peer in state.peers.items():
        assert key == peer.public_key
        assert len(key) == 32
        assert all(0 <= prefix.length <= prefix.bits for prefix in peer.allowed_ips)
        assert 0 <= peer.rx_bytes < 2**64
        assert 0 <= peer.tx_bytes < 2**64
        assert 0 <= (peer.persistent_keepalive or 0) < 2**16
        str(peer)


def check_ip(data: bytes) -> None:
    """Read the output of `ip -j -d address show`, and each line as one of `ip -o monitor`."""
    text = data.decode(errors="replace")
    for line in text.split("\n")[:20]:
        parse_event(line)
    link = parse_link(text, "wg0")
    if link is None:
        raise RefusedError
    assert isinstance(link.kind, str)
    link_batch("wg0", DevicePatch(mtu=1280, up=True, remove_addresses=link.addresses), link)


def _decoded(messages: list[bytes], cache: DecodeCache) -> DeviceState | None:
    try:
        return decode(messages, cache)
    except BackendError:
        return None


@contextmanager
def _open_netlink(_directory: Path) -> Iterator[Check]:
    """The messages of a dump: in bulk, peer by peer, and with a cache of other dumps they are the same device."""
    used = DecodeCache(str)

    def check(data: bytes) -> None:
        messages = data.split(MESSAGE)
        state = _decoded(messages, DecodeCache(str))
        assert _decoded(messages, used) == state
        with mock.patch("ikto_backends.netlink.decode.decode_in_bulk", return_value=None):
            assert _decoded(messages, DecodeCache(str)) == state
        if state is None:
            raise RefusedError
        assert decode_peers(messages, state.peers.keys(), DecodeCache(str)) == state.peers
        _check_values(state)

    yield check


@contextmanager
def _open_answer(_directory: Path) -> Iterator[Check]:
    """The datagrams that answer a request, over a socket as the kernel's. OSError is the kernel's refusal."""
    client, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with client, kernel:
        client.setblocking(False)
        kernel.setblocking(False)

        def check(data: bytes) -> None:
            for datagram in [*data.split(MESSAGE)[:5], _DONE]:
                kernel.send(datagram or bytes(4))
            try:
                list(receive_answers(client, SEQUENCE))
            finally:
                _drain(client)

        yield check


def _drain(client: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            client.recv(1)


TARGETS = (
    Target("dump", 6, (ValueError,), without_preparation(check_dump), DUMP_WORDS),
    Target("ip", 3, (BackendError,), without_preparation(check_ip), (b'"mtu":', b'"local":', b"Deleted ", b"@NONE:")),
    Target("netlink", 7, (), _open_netlink, NETLINK_WORDS),
    Target("netlink-answer", 3, (OSError, BackendError), _open_answer, NETLINK_WORDS),
)
