"""The netlink backend keeps the contract on the kernel's own WireGuard."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_interface
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings

from ikto_backends.netlink import ikto_register_backends
from ikto_backends.netlink.events import watch
from ikto_backends.netlink.namespace import open_namespace
from ikto_core.device.backend import Backend, BackendPlugin, DeviceEvent, DeviceEventKind
from ikto_core.device.model import DevicePatch, PeerState
from ikto_core.errors import BackendError
from ikto_core.testing import LinuxContract
from ikto_core.testing.devices import apply_spec, new_device, read_device, spec_of

ONE, TWO = "ikto-kit0", "ikto-kit1"


class TestNetlinkContract(LinuxContract):
    examples: ClassVar[settings] = settings(
        max_examples=5, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )
    patience_s: ClassVar[float] = 300.0

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        [plugin] = ikto_register_backends()
        return plugin


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def test_python_wireguard_reads_what_ikto_wrote(backend: Backend) -> None:
    await new_device(backend, ONE)
    await apply_spec(backend, ONE, spec_of(3, listen_port=42000))
    device, *peers = (line.split("\t") for line in run("wg", "show", ONE, "dump").splitlines())
    state = await read_device(backend, ONE)
    assert state.private_key is not None
    assert device == [state.private_key.text, state.private_key.public().text, "42000", "0x7"]
    for line in peers:
        line[3] = ",".join(sorted(line[3].split(",")))
    assert {line[0]: tuple(line[1:5]) for line in peers} == {p.public_key.text: dumped(p) for p in state.peers.values()}


def dumped(peer: PeerState) -> tuple[str, str, str, str]:
    preshared = peer.preshared_key.text if peer.preshared_key else "(none)"
    return preshared, str(peer.endpoint), ",".join(sorted(map(str, peer.allowed_ips))), "0"


async def test_addresses_stay_while_the_link_is_down(backend: Backend) -> None:
    await new_device(backend, ONE)
    both = frozenset({ip_interface("10.98.0.1/24"), ip_interface("fd98::1/64")})
    await backend.apply(ONE, DevicePatch(up=True, add_addresses=both))
    for up in (False, True):
        await backend.apply(ONE, DevicePatch(up=up))
        assert (await read_device(backend, ONE)).addresses == both


class Listener:
    """The events of the backend; `settled` waits until all earlier events have arrived."""

    def __init__(self, events: AsyncIterator[DeviceEvent]) -> None:
        self.told: list[DeviceEvent] = []
        self._events = events

    async def listen(self) -> None:
        async for event in self._events:
            self.told.append(event)

    async def settled(self) -> list[DeviceEvent]:
        """Return what was told of ONE since the last time; a change of TWO marks where that ends."""
        count = len(self.told)
        while not any(event.ifname == TWO for event in self.told[count:]):
            run("ip", "link", "set", TWO, "mtu", "1300")
            run("ip", "link", "set", TWO, "mtu", "1400")
            await asyncio.sleep(0.1)
        told, self.told[:] = [event for event in self.told if event.ifname == ONE], []
        return told


@asynccontextmanager
async def listening(backend: Backend, events: AsyncIterator[DeviceEvent]) -> AsyncIterator[Listener]:
    await new_device(backend, TWO)
    listener = Listener(events)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(listener.listen())
        await listener.settled()
        yield listener
        task.cancel()


async def test_changes_outside_ikto_are_reported(backend: Backend) -> None:
    changed, gone = DeviceEvent(ONE, DeviceEventKind.CHANGED), DeviceEvent(ONE, DeviceEventKind.GONE)
    async with listening(backend, backend.events()) as listener:
        await new_device(backend, ONE)
        await listener.settled()
        for hand in ("link set dev {} up", "link set {} mtu 1300", "address add 10.98.0.2/24 dev {}",
                     "address del 10.98.0.2/24 dev {}", "address add fd98::2/64 dev {}"):  # fmt: skip
            run("ip", *hand.format(ONE).split())
            assert set(await listener.settled()) == {changed}, hand
        run("ip", "link", "set", ONE, "down")
        run("ip", "link", "set", ONE, "name", "ikto-other")
        assert gone in await listener.settled()
        run("ip", "link", "set", "ikto-other", "name", ONE)
        assert changed in await listener.settled()
        run("ip", "link", "del", ONE)
        assert (await listener.settled())[-1] == gone


async def test_changes_whose_events_were_lost_are_repaired(backend: Backend) -> None:
    """The kernel drops what does not fit, and says so; every device is then said to be changed."""
    async with open_namespace(None) as namespace, listening(backend, watch(namespace, receive_bytes=1)) as listener:
        await new_device(backend, ONE)
        await listener.settled()
        for mtu in range(1300, 1340):  # nobody listens meanwhile: this blocks the loop
            run("ip", "link", "set", ONE, "mtu", str(mtu))
        run("ip", "link", "del", ONE)
        await new_device(backend, ONE)
        assert DeviceEvent(ONE, DeviceEventKind.CHANGED) in await listener.settled()
        run("ip", "link", "set", ONE, "mtu", "1345")
        assert DeviceEvent(ONE, DeviceEventKind.CHANGED) in await listener.settled()


async def test_ipv6_disabled_says_so(backend: Backend) -> None:
    await new_device(backend, ONE)
    run("sysctl", "-qw", f"net.ipv6.conf.{ONE}.disable_ipv6=1")
    with pytest.raises(BackendError, match="IPv6 is disabled"):
        await backend.apply(ONE, DevicePatch(up=True, add_addresses=frozenset({ip_interface("fd98::1/64")})))
