"""Pings and knocks on this host itself; tests/netns/test_why.py has them between hosts."""

from collections.abc import Iterator
from socket import AF_INET, AF_INET6, SOCK_DGRAM, socket

import pytest

from ikto_core.underlay.echo import Way, _is_reply, echo, knock, largest_answered
from ikto_core.underlay.inspection import Plan, inspect
from ikto_core.values.addressing import Endpoint

LOOPBACK = Way(ifname="lo")


@pytest.fixture
def silent() -> Iterator[Endpoint]:
    """A port where somebody listens, and answers nothing."""
    with socket(AF_INET, SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        yield Endpoint("127.0.0.1", listener.getsockname()[1])


@pytest.fixture
def closed() -> Endpoint:
    """A port where nobody listens."""
    with socket(AF_INET6, SOCK_DGRAM) as listener:
        listener.bind(("::1", 0))
        return Endpoint("::1", listener.getsockname()[1])


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("size", [0, 1400, 9000])
def test_this_host_answers_packets_of_every_size(address: str, size: int) -> None:
    answer = echo(address, way=LOOPBACK, size=size, timeout_s=30)
    assert answer.rtt_s is not None
    assert answer.method in {"ICMP", "UDP"}
    assert not size or answer.size == size


def test_a_packet_larger_than_the_interface_allows_is_not_sent() -> None:
    answer = echo("::1", way=LOOPBACK, size=66000)
    assert answer.rtt_s is None
    assert answer.failure


def test_only_the_answer_to_the_own_request_counts() -> None:
    """A raw socket receives every ping of this host, requests too, with the IPv4 header."""
    token, header = b"12345678", b"\x45" + bytes(19)
    assert _is_reply(AF_INET, header + bytes(8) + token, token)
    assert _is_reply(AF_INET6, b"\x81" + bytes(7) + token, token)
    assert not _is_reply(AF_INET, header + b"\x08" + bytes(7) + token, token)
    assert not _is_reply(AF_INET6, b"\x80" + bytes(7) + token, token)
    assert not _is_reply(AF_INET, header + bytes(8) + b"87654321", token)
    assert not _is_reply(AF_INET, header, token)


def test_no_interface_and_no_answer() -> None:
    assert echo("127.0.0.1", way=Way(ifname="nope0")).failure == "No such device"
    assert echo("192.0.2.77", way=LOOPBACK, timeout_s=0.01).rtt_s is None


def test_a_knock_tells_a_closed_port_from_one_where_somebody_listens(silent: Endpoint, closed: Endpoint) -> None:
    assert knock(closed, way=Way(), timeout_s=30) == "refused"
    assert knock(silent, way=Way(), timeout_s=0.1) == "silent"


def test_the_largest_size_that_is_answered() -> None:
    assert largest_answered("::1", way=LOOPBACK, low=1280, high=1300, timeout_s=30) == 1299
    assert largest_answered("192.0.2.77", way=LOOPBACK, low=1280, high=1300, timeout_s=0.01) is None
    assert largest_answered("::1", way=LOOPBACK, low=1300, high=1300) is None


@pytest.mark.slow
def test_an_inspection_looks_beside_the_tunnel_and_through_it(silent: Endpoint, closed: Endpoint) -> None:
    plan = Plan(endpoints=(closed, silent), ifname="lo", source="::1", address="::1", mtu=1420)
    (first, second), through = inspect(plan)
    assert (first.knock, first.source) == ("refused", "::1")
    assert second.knock == "silent"
    assert second.echo
    assert second.echo.rtt_s is not None
    assert through.large
    assert through.large.rtt_s is not None
    assert through.large.size == 1420


def test_without_the_device_only_routes_are_looked_at(closed: Endpoint) -> None:
    (seen,), through = inspect(Plan(endpoints=(closed,), ifname="nope0", source="::1", address="::1"))
    assert (seen.source, seen.knock, seen.echo) == ("::1", "", None)
    assert through.unchecked == "nope0 is no network interface of this host"
    assert (
        inspect(Plan(endpoints=(), ifname="lo", address="::1"))[1].unchecked == "this node has no address in the mesh"
    )
