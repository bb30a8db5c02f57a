"""The netlink backend keeps the contract on the kernel's own WireGuard."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_interface
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from msgspec.structs import replace

from ikto_backends.netlink.events import watch
from ikto_core.addressing import Endpoint, Prefix
from ikto_core.backend import Backend, DeviceEvent, DeviceEventKind
from ikto_core.diff import diff
from ikto_core.errors import BackendError
from ikto_core.keys import PrivateKey
from ikto_core.model import DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.testing.backend_contract import BackendContract
from ikto_core.testing.devices import becomes, create, fresh, peer_of, public_key_of, shown, spec_of

ONE, TWO = "ikto-kit0", "ikto-kit1"


class TestNetlinkContract(BackendContract):
    examples: ClassVar[settings] = settings(
        max_examples=5, database=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
    )


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


async def until(backend: Backend, ifname: str, holds: Callable[[DeviceState], bool]) -> DeviceState:
    """Read the device until something holds of it."""
    async with asyncio.timeout(60):
        while not holds(state := await shown_whole(backend, ifname)):
            await asyncio.sleep(0.1)
    return state


async def shown_whole(backend: Backend, ifname: str) -> DeviceState:
    state = await backend.read(ifname)
    assert state is not None
    return state


async def test_a_peer_of_600_allowed_ips_is_written_and_read_whole(backend: Backend) -> None:
    await fresh(backend, ONE)
    many = frozenset(Prefix.parse(f"fd10:{n:x}::/32") for n in range(600))
    spec = replace(peer_of(1), allowed_ips=many)
    device = replace(spec_of(3, listen_port=42000), peers={spec.public_key: spec, public_key_of(2): peer_of(2)})
    await becomes(backend, ONE, device)
    fewer = replace(spec, allowed_ips=frozenset(sorted(many)[:550]))
    await becomes(backend, ONE, replace(device, peers={spec.public_key: fewer}))


async def test_a_link_local_endpoint_keeps_its_scope(backend: Backend) -> None:
    await fresh(backend, ONE)
    endpoint = Endpoint.parse("[fe80::1%lo]:9")
    await backend.apply(ONE, DevicePatch(peers=(replace(create(1), endpoint=endpoint),)))
    assert (await shown(backend, ONE)).peers[public_key_of(1)].endpoint == endpoint


async def test_a_reader_that_is_not_ours_sees_what_was_written(backend: Backend) -> None:
    await fresh(backend, ONE)
    await becomes(backend, ONE, spec_of(3, listen_port=42000))
    device, *peers = (line.split("\t") for line in run("wg", "show", ONE, "dump").splitlines())
    state = await shown(backend, ONE)
    assert state.private_key is not None
    assert device == [state.private_key.text, state.private_key.public().text, "42000", "0x7"]
    for line in peers:
        line[3] = ",".join(sorted(line[3].split(",")))
    assert {line[0]: tuple(line[1:5]) for line in peers} == {p.public_key.text: dumped(p) for p in state.peers.values()}


def dumped(peer: PeerState) -> tuple[str, str, str, str]:
    preshared = peer.preshared_key.text if peer.preshared_key else "(none)"
    return preshared, str(peer.endpoint), ",".join(sorted(map(str, peer.allowed_ips))), "0"


async def test_no_write_drops_a_session_that_stands(backend: Backend) -> None:
    """Real handshakes over the loopback; a dropped session shows as a peer that never had one, or had another one."""
    keys = {ONE: PrivateKey.generate(), TWO: PrivateKey.generate()}
    ports = {ONE: 42001, TWO: 42002}
    for us, they in ((ONE, TWO), (TWO, ONE)):
        await fresh(backend, us)
        peer = PeerPatch(
            public_key=keys[they].public(),
            create=True,
            allowed_ips=frozenset({Prefix.parse("10.99.0.0/24")}),
            endpoint=Endpoint("127.0.0.1", ports[they]),
            persistent_keepalive=1 if us == ONE else None,
        )
        await backend.apply(us, DevicePatch(private_key=keys[us], listen_port=ports[us], up=True, peers=(peer,)))
    key = keys[TWO].public()
    before = (await until(backend, ONE, lambda state: state.peers[key].last_handshake is not None)).peers[key]
    for patch in (
        DevicePatch(peers=(create(1), create(2))),
        DevicePatch(peers=(PeerPatch(public_key=key, create=True, allowed_ips=frozenset(), persistent_keepalive=1),)),
        DevicePatch(fwmark=0, mtu=1400, up=True, add_addresses=frozenset({ip_interface("10.98.0.1/24")})),
        DevicePatch(remove_peers=frozenset({public_key_of(1)})),
    ):
        await backend.apply(ONE, patch)
        sent = (await shown_whole(backend, ONE)).peers[key].tx_bytes
        after = (await until(backend, ONE, lambda state, sent=sent: state.peers[key].tx_bytes > sent)).peers[key]  # type: ignore[misc]
        assert after.last_handshake == before.last_handshake


async def test_a_cancelled_write_is_over_before_the_next_call(backend: Backend) -> None:
    """It may be carried out in part or whole, but not after what is written later."""
    await fresh(backend, ONE)
    spec = spec_of(1000, listen_port=42000)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await backend.apply(ONE, diff(spec, await shown(backend, ONE)))
    await becomes(backend, ONE, spec_of(3, listen_port=42000))


async def test_another_address_of_the_subnet_outlives_the_first_one(backend: Backend) -> None:
    await fresh(backend, ONE)
    first, second, third = (ip_interface(f"10.98.0.{n}/24") for n in (1, 2, 3))
    await backend.apply(ONE, DevicePatch(up=True, add_addresses=frozenset({first, second})))
    await backend.apply(ONE, DevicePatch(add_addresses=frozenset({third}), remove_addresses=frozenset({first})))
    assert (await shown(backend, ONE)).addresses == {second, third}


async def test_addresses_stay_while_the_link_is_down(backend: Backend) -> None:
    await fresh(backend, ONE)
    both = frozenset({ip_interface("10.98.0.1/24"), ip_interface("fd98::1/64")})
    await backend.apply(ONE, DevicePatch(up=True, add_addresses=both))
    for up in (False, True):
        await backend.apply(ONE, DevicePatch(up=up))
        assert (await shown(backend, ONE)).addresses == both


async def test_a_prefix_length_changes_in_place(backend: Backend) -> None:
    await fresh(backend, ONE)
    before = frozenset({ip_interface("fd98::1/64"), ip_interface("10.98.0.1/24")})
    after = frozenset({ip_interface("fd98::1/48"), ip_interface("10.98.0.1/16")})
    await backend.apply(ONE, DevicePatch(up=True, add_addresses=before))
    await backend.apply(ONE, DevicePatch(add_addresses=after, remove_addresses=before))
    assert (await shown(backend, ONE)).addresses == after


class Listener:
    """What the backend tells, gathered; `settled` waits until all that came before it has been told."""

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
    await fresh(backend, TWO)
    listener = Listener(events)
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        task = group.create_task(listener.listen())
        await listener.settled()
        yield listener
        task.cancel()


async def test_other_hands_are_told_of(backend: Backend) -> None:
    changed, gone = DeviceEvent(ONE, DeviceEventKind.CHANGED), DeviceEvent(ONE, DeviceEventKind.GONE)
    async with listening(backend, backend.events()) as listener:
        await fresh(backend, ONE)
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


async def test_events_that_were_lost_are_made_up_for(backend: Backend) -> None:
    """The kernel drops what does not fit, and says so; every device is then said to be changed."""
    async with listening(backend, watch(receive_bytes=1)) as listener:
        await fresh(backend, ONE)
        await listener.settled()
        for mtu in range(1300, 1340):  # nobody listens meanwhile: this blocks the loop
            run("ip", "link", "set", ONE, "mtu", str(mtu))
        run("ip", "link", "del", ONE)
        await fresh(backend, ONE)
        assert DeviceEvent(ONE, DeviceEventKind.CHANGED) in await listener.settled()
        run("ip", "link", "set", ONE, "mtu", "1345")
        assert DeviceEvent(ONE, DeviceEventKind.CHANGED) in await listener.settled()


async def test_a_port_in_use_says_so(backend: Backend) -> None:
    for ifname in (ONE, TWO):
        await fresh(backend, ifname)
    await backend.apply(ONE, DevicePatch(listen_port=42003, up=True))
    with pytest.raises(BackendError, match="its UDP port is in use"):
        await backend.apply(TWO, DevicePatch(listen_port=42003, up=True))


async def test_ipv6_disabled_says_so(backend: Backend) -> None:
    await fresh(backend, ONE)
    run("sysctl", "-qw", f"net.ipv6.conf.{ONE}.disable_ipv6=1")
    with pytest.raises(BackendError, match="IPv6 is disabled"):
        await backend.apply(ONE, DevicePatch(up=True, add_addresses=frozenset({ip_interface("fd98::1/64")})))
