"""A change of addresses, routes or links is noticed at once: what to advertise, the MTU, and that a host has moved."""

from contextlib import aclosing
from errno import EPERM
from ipaddress import ip_address

import pytest
from structlog.testing import capture_logs

from ikto_core.underlay import events
from ikto_core.underlay.events import underlay_events
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.underlay.paths import Route, outer_sources
from ikto_core.values.addressing import Prefix
from tests.underlay.lan import IPV4_LAN, LAN, run_on_host

MESH = Prefix.parse("fd10::/16")

WATCH = """
import asyncio, subprocess, sys, structlog
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.addressing import Endpoint, Prefix

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
changed, log = asyncio.Event(), []
monitor = UnderlayMonitor(None, Prefix.parse("fd10::/16"), "wg0")

def change(found):
    log.append("change")
    changed.set()

monitor.on_change = change
monitor.on_move = lambda: log.append("move")

def run(commands):
    subprocess.run(["sh", "-euc", commands], check=True)

async def until(condition):
    while not condition():
        changed.clear()
        await changed.wait()

async def steps():
%s

async def main():
    watching = asyncio.create_task(monitor.watch())
    async with asyncio.timeout(60):
        await until(lambda: monitor.found.addresses or monitor.found.mtu)
        log.clear()
        await steps()
    watching.cancel()

asyncio.run(main())
"""


def watched(steps: str, setup: str = LAN) -> str:
    """Run the body of a coroutine on a host whose underlay is watched; return what it prints."""
    return run_on_host(WATCH % "\n".join(f"    {line}" for line in steps.strip().splitlines()), setup, "")


def test_a_renumbered_host_has_another_address_to_advertise_and_has_moved() -> None:
    steps = """
run("ip address del 10.5.0.1 peer 10.5.0.2 dev eth0")
run("ip address del 10.1.0.2/24 dev eth0; ip address add 10.1.0.77/24 dev eth0; ip route replace default via 10.1.0.1")
await until(lambda: "10.1.0.77" in monitor.found.addresses)
await asyncio.sleep(0)
print(*monitor.found.addresses, log[-1])
"""
    assert watched(steps) == "10.1.0.77 2001:db8:1::2 move"


def test_an_address_that_is_gone_for_a_while_is_still_advertised_and_peers_are_contacted_when_it_is_back() -> None:
    """What was sent to them meanwhile did not leave the host."""
    steps = """
run("ip link set eth0 down")
await until(lambda: not monitor.found.sources)
print(*monitor.found.addresses, monitor.found.mtu, monitor.reaches(Endpoint("2001:db8:9::9", 1)))
run("ip link set eth0 up; ip route add default via 10.1.0.1")
await until(lambda: monitor.found.sources)
print(*monitor.found.addresses, monitor.reaches(Endpoint("2001:db8:9::9", 1)), "move" in log)
"""
    assert watched(steps, IPV4_LAN) == "10.1.0.2 1420 True\n10.1.0.2 False True"


def test_a_family_that_comes_is_advertised_too_and_one_that_goes_no_longer() -> None:
    steps = """
run("ip address add 2001:db8:1::2/64 dev eth0 nodad; ip route add default via 2001:db8:1::1")
await until(lambda: len(monitor.found.addresses) == 2)
run("ip route del default via 10.1.0.1")
await until(lambda: len(monitor.found.addresses) == 1)
print(*monitor.found.addresses, "move" in log)
"""
    assert watched(steps, IPV4_LAN) == "2001:db8:1::2 False"


def test_the_mtu_follows_the_link_and_the_route() -> None:
    steps = """
for command, mtu in (
    ("ip link set eth0 mtu 1450", 1370),
    ("ip route replace default via 10.1.0.1 mtu 1400", 1320),
    ("ip route replace default via 10.1.0.1; ip link set eth0 mtu 1500", 1420),
):
    run(command)
    await until(lambda: monitor.found.mtu == mtu)
print(set(log))
"""
    assert watched(steps, IPV4_LAN) == "{'change'}"


def test_changes_of_the_mesh_device_and_of_guests_change_nothing() -> None:
    """Each of them is an event, and each event a look."""
    steps = """
async def look_again():
    await look()
    looks.append(1)

looks, look = [], monitor.look
monitor.look = look_again
run("ip link add wg0 type veth peer name far1; ip address add fd10::1/16 dev wg0 nodad; ip link set wg0 up mtu 1300")
run("ip link add veth1 type veth peer name far2; ip address add 10.8.0.1/24 dev veth1; ip link set veth1 up")
while not looks:
    await asyncio.sleep(0.01)
print(log)
"""
    assert watched(steps) == "[]"


def test_a_flood_of_changes_is_one_event_and_the_last_one_is_seen() -> None:
    """More than the buffer of the socket takes."""
    steps = """
run("".join(f"ip address add 10.9.{n}.1/24 dev eth0;" for n in range(200)) + "ip link set eth0 mtu 1400")
await until(lambda: monitor.found.mtu == 1320)
print(log)
"""
    assert watched(steps, IPV4_LAN) == "['change']"


def test_without_any_network_every_endpoint_may_have_a_route_and_later_only_those_that_have() -> None:
    """As at boot: the peers of the snapshot get their endpoints before the network is there."""
    probe = """
import asyncio
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.addressing import Endpoint, Prefix
monitor = UnderlayMonitor("192.0.2.1", Prefix.parse("fd10::/16"), "wg0")
asyncio.run(monitor.look())
print(*(monitor.reaches(Endpoint(host, 1)) for host in ("198.51.100.1", "2001:db8:9::9")))
"""
    assert run_on_host(probe, "", "").splitlines()[-1] == "True True"
    assert run_on_host(probe, IPV4_LAN, "").splitlines()[-1] == "True False"


@pytest.mark.parametrize("source", ["127.0.0.1", "fe80::1", "fd10::1", None])
def test_a_source_that_no_peer_sees_does_not_count(source: str | None) -> None:
    routes = [Route("a", ip_address("10.1.0.2")), Route("b", ip_address(source) if source else None)]
    assert outer_sources(routes, MESH) == {"a": "10.1.0.2"}


async def test_a_configured_address_is_advertised_whatever_this_host_has() -> None:
    monitor = UnderlayMonitor("192.0.2.77", MESH, "wg0")
    await monitor.connected("nats://127.0.0.1:4222", keep_trying=False)
    assert monitor.found.addresses == ("192.0.2.77",)


async def test_where_the_kernel_cannot_be_asked_an_event_is_assumed_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise OSError(EPERM, "no netlink here")

    monkeypatch.setattr(events, "socket", refused)
    monkeypatch.setattr(events, "LOOK_EVERY_S", 0.0)
    with capture_logs() as logs:
        async with aclosing(underlay_events()) as assumed:
            for _ in range(3):
                await anext(assumed)
    assert [log["event"] for log in logs] == ["underlay events failed"]


async def test_each_look_is_reported_since_a_route_to_a_peer_may_be_another_one() -> None:
    monitor, looks = UnderlayMonitor("192.0.2.1", MESH, "wg0"), list[None]()
    monitor.on_look = lambda: looks.append(None)
    await monitor.look()
    await monitor.look()
    assert len(looks) == 2, "also if it found nothing new"
