"""A datagram leaves for each peer; whatever can't be sent harms nobody."""

from collections.abc import Iterator
from socket import AF_INET, SOCK_DGRAM, socket

import pytest

from ikto_core.underlay import handshake_probe as provoking
from ikto_core.underlay.handshake_probe import probe_handshakes


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket]:
    with socket(AF_INET, SOCK_DGRAM) as receiver:
        receiver.settimeout(10)
        receiver.bind(("127.0.0.1", 0))
        monkeypatch.setattr(provoking, "DISCARD_PORT", receiver.getsockname()[1])
        yield receiver


def test_one_empty_datagram_comes_to_each_from_our_address_though_others_have_no_way(receiver: socket) -> None:
    probe_handshakes("127.0.0.2", ["::1", "127.0.0.1", "127.0.0.1"])
    for _ in range(2):
        content, (source, _) = receiver.recvfrom(10)
        assert (content, source) == (b"", "127.0.0.2")


def test_without_the_address_nothing_is_sent_and_nothing_fails(receiver: socket) -> None:
    probe_handshakes("192.0.2.1", ["127.0.0.1"])
    probe_handshakes("fd10::1", ["::1"], "no-such-namespace")
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(10)


def test_without_a_socket_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without IPv6, or with too many open files."""

    def refused(*_: object) -> socket:
        raise OSError

    monkeypatch.setattr(provoking, "socket", refused)
    probe_handshakes("127.0.0.1", ["127.0.0.1"])
