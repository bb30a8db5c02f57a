"""A datagram is sent to each peer; an address that can't be sent to has no effect on the others."""

import asyncio
from collections.abc import Iterator
from socket import AF_INET, SOCK_DGRAM, socket

import pytest

from ikto_core.underlay import handshake_probe
from ikto_core.underlay.handshake_probe import probe_handshakes


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket]:
    with socket(AF_INET, SOCK_DGRAM) as receiver:
        receiver.settimeout(10)
        receiver.bind(("127.0.0.1", 0))
        monkeypatch.setattr(handshake_probe, "DISCARD_PORT", receiver.getsockname()[1])
        yield receiver


def test_each_address_gets_one_empty_datagram_from_the_source_and_others_without_a_route_are_skipped(
    receiver: socket,
) -> None:
    probe_handshakes("127.0.0.2", ["::1", "127.0.0.1", "127.0.0.1"])
    for _ in range(2):
        content, (source, _) = receiver.recvfrom(10)
        assert (content, source) == (b"", "127.0.0.2")


def test_without_the_source_address_nothing_is_sent_and_nothing_raised(receiver: socket) -> None:
    probe_handshakes("192.0.2.1", ["127.0.0.1"])
    probe_handshakes("fd10::1", ["::1"], "no-such-namespace")
    receiver.setblocking(False)
    with pytest.raises(BlockingIOError):
        receiver.recv(10)


def test_without_a_socket_nothing_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a host without IPv6, or with too many open files."""

    def refused(*_: object) -> socket:
        raise OSError

    monkeypatch.setattr(handshake_probe, "socket", refused)
    probe_handshakes("127.0.0.1", ["127.0.0.1"])


async def test_a_prober_sends_each_requested_address_one_probe_in_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[list[str]] = []
    monkeypatch.setattr(handshake_probe, "PROBES_PER_S", 10_000)
    monkeypatch.setattr(handshake_probe, "probe_handshakes", lambda _, batch, __: batches.append(batch))
    prober = handshake_probe.Prober(lambda: "fd10::1")
    wanted = [f"fd10:{number}::1" for number in range(25)]
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(prober.run())
        prober.request(wanted)
        prober.request(wanted[:5])
        while sum(map(len, batches)) < len(wanted):
            await asyncio.sleep(0)
        task.cancel()
    assert [address for batch in batches for address in batch] == wanted
    assert max(map(len, batches)) == handshake_probe.PROBES_AT_ONCE


async def test_without_an_address_of_the_device_requests_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake_probe, "probe_handshakes", lambda *_: pytest.fail("nothing can be sent"))
    prober = handshake_probe.Prober(lambda: None)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(prober.run())
        prober.request(["fd10:1::1"])
        while prober._waiting:
            await asyncio.sleep(0)
        task.cancel()
