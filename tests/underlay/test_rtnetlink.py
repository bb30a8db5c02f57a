"""The kernel's answers are read as pyroute2 reads them."""

from collections.abc import Iterator
from ipaddress import ip_address
from struct import pack

import pytest
from pyroute2 import AsyncIPRoute

from ikto_core.underlay.routes import DEFAULT_ROUTES, Target
from ikto_core.underlay.rtnetlink import Rtnetlink

AF_PHONET = 35  # linux/socket.h
IFA_LOCAL = 2  # linux/if_addr.h


@pytest.fixture
def kernel() -> Iterator[Rtnetlink]:
    with Rtnetlink() as kernel:
        yield kernel


async def test_addresses_and_links_are_those_of_this_host(kernel: Rtnetlink) -> None:
    async with AsyncIPRoute() as netlink:
        addresses = {
            (message["index"], ip_address(message.get("local") or message.get("address")))
            async for message in await netlink.get_addr()
        }
        links = {
            message["index"]: (message.get("ifname"), message.get(("linkinfo", "kind")), message.get("mtu"))
            async for message in await netlink.get_links()
        }
    assert set(kernel.addresses()) == addresses
    assert {index: tuple(kernel.link(index)) for index in links} == links


def test_the_loopback_is_on_the_route_to_itself(kernel: Rtnetlink) -> None:
    index = kernel.index_of_route(ip_address("127.0.0.1"))
    assert index is not None
    assert kernel.link(index) == ("lo", None, 65536)


@pytest.mark.parametrize("target", DEFAULT_ROUTES, ids=lambda target: target.name)
async def test_a_route_is_that_of_pyroute2(kernel: Rtnetlink, target: Target) -> None:
    destination = ip_address(target.host)
    family = target.family
    async with AsyncIPRoute() as netlink:
        try:
            (expected,) = [each.get("oif") for each in await netlink.route("get", family=family, dst=str(destination))]
        except Exception:  # noqa: BLE001 - there is no such route: pyroute2's error is of another class
            with pytest.raises(OSError, match=r"."):
                kernel.index_of_route(destination)
            return
    assert kernel.index_of_route(destination) == expected


def test_addresses_that_are_none_of_ip_are_passed_over(kernel: Rtnetlink, monkeypatch: pytest.MonkeyPatch) -> None:
    phonet = pack("=BBBBI", AF_PHONET, 6, 0, 0, 1) + pack("=HHBxxx", 5, IFA_LOCAL, 0x40)
    expected, ask = kernel.addresses(), kernel._ask
    monkeypatch.setattr(kernel, "_ask", lambda *question: [phonet, *ask(*question)])
    assert kernel.addresses() == expected


def test_what_the_kernel_refuses_is_an_error(kernel: Rtnetlink) -> None:
    with pytest.raises(OSError, match="No such device"):
        kernel.link(2**31 - 1)
    assert kernel.addresses(), "the next question is answered"
