"""The fake backend keeps the contract, models the kernel, and fails on demand."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from ipaddress import ip_interface
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from msgspec.structs import replace

from ikto_backends.fake import FakeBackend, FakeHost, ikto_register_backends, load_device, open_fake, state_file
from ikto_core.device.backend import Backend, BackendContext, BackendPlugin, DeviceEvent, DeviceEventKind
from ikto_core.device.model import DevicePatch, DeviceState, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.testing import BackendContract
from ikto_core.testing.devices import apply_spec, create, new_device, peer_of, private_key_of, public_key_of, spec_of
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PrivateKey
from tests.backends.fake_contract import FakeContract

WG = "wg0"
SPEC = spec_of(3, listen_port=51820)


@pytest.fixture
def host() -> FakeHost:
    return FakeHost()


@pytest.fixture
async def backend(host: FakeHost) -> AsyncIterator[FakeBackend]:
    async with host.open() as backend:
        yield backend


async def spec_device(backend: Backend) -> DeviceState:
    await new_device(backend, WG)
    return await apply_spec(backend, WG, SPEC)


class TestFakeContract(FakeContract):
    pass


class TestFakePluginContract(BackendContract):
    """The backend of `ikto agent --backend fake`: each opening is a new host that loads its devices from files."""

    unsupported: ClassVar[Mapping[str, str]] = {"C9": "other processes change files, which are not watched"}
    examples: ClassVar[settings] = settings(max_examples=5)

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        [plugin] = ikto_register_backends()
        return plugin


async def test_adding_one_peer_writes_one_peer(host: FakeHost, backend: FakeBackend) -> None:
    await new_device(backend, WG)
    await apply_spec(backend, WG, spec_of(100, listen_port=51820))
    host.writes.clear()
    await apply_spec(backend, WG, spec_of(101, listen_port=51820))
    assert host.writes == [(WG, DevicePatch(peers=(create(101),)))]


async def test_devices_survive_the_closing_of_the_backend(host: FakeHost) -> None:
    async with host.open() as backend:
        before = await spec_device(backend)
    async with host.open() as backend:
        assert await backend.read(WG) == before


async def test_a_device_survives_the_process_in_a_private_file(tmp_path: Path) -> None:
    context = BackendContext(ifname=WG, state_dir=tmp_path)
    host = FakeHost(tmp_path)
    async with host.open(context) as backend:
        await spec_device(backend)
        host.handshake(WG, public_key_of(1), 5.5)
        host.roam(WG, public_key_of(2), Endpoint.parse("[fe80::1%eth0]:7"))
        before = await backend.read(WG)
    async with open_fake(context) as backend:
        assert await backend.read(WG) == before
        path = state_file(tmp_path, WG)
        assert load_device(path) == before
        assert path.stat().st_mode & 0o777 == 0o600
        await backend.delete(WG)
    assert files(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"private_key": "short"}', b"\xff"])
def test_a_damaged_device_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = state_file(tmp_path, WG)
    path.write_bytes(content)
    with pytest.raises(BackendError, match="can't read the fake device") as caught:
        FakeHost(tmp_path)
    assert str(path) in str(caught.value)


async def test_a_missing_state_directory_is_created(tmp_path: Path) -> None:
    await FakeBackend(FakeHost(tmp_path / "missing")).create(WG)
    assert FakeHost(tmp_path / "missing").device(WG)


async def test_a_state_directory_that_can_not_be_written_is_a_backend_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="can't be written"):
        await FakeBackend(FakeHost(tmp_path / "file" / "state")).create(WG)


async def test_host_bits_of_an_allowed_ip_are_masked(host: FakeHost, backend: FakeBackend) -> None:
    await new_device(backend, WG)
    unmasked = Prefix(bytes([10, 1, 2, 3]), 24)
    await backend.apply(WG, DevicePatch(peers=(replace(create(1), allowed_ips=frozenset({unmasked})),)))
    assert device(host).peers[public_key_of(1)].allowed_ips == {Prefix.parse("10.1.2.0/24")}


async def test_a_prefix_that_its_owner_lost_can_be_given_to_another_peer(host: FakeHost, backend: FakeBackend) -> None:
    await new_device(backend, WG)
    clear = PeerPatch(public_key=public_key_of(1), allowed_ips=frozenset())
    await backend.apply(WG, DevicePatch(peers=(create(1), clear), remove_peers=frozenset({public_key_of(1)})))
    next_owner = replace(create(2), allowed_ips=peer_of(1).allowed_ips)
    await backend.apply(WG, DevicePatch(peers=(next_owner,)))
    assert device(host).peers[public_key_of(2)].allowed_ips == peer_of(1).allowed_ips


async def test_a_peer_with_the_devices_own_key_is_ignored(host: FakeHost, backend: FakeBackend) -> None:
    await new_device(backend, WG)
    own = replace(create(1), public_key=private_key_of(1).public())
    await backend.apply(WG, DevicePatch(peers=(own, create(2))))
    assert own.public_key in device(host).peers
    await backend.apply(WG, DevicePatch(private_key=private_key_of(1)))
    assert list(device(host).peers) == [public_key_of(2)]
    await backend.apply(WG, DevicePatch(peers=(own,)))
    assert list(device(host).peers) == [public_key_of(2)]


async def test_a_private_key_is_clamped_and_zeros_remove_it(host: FakeHost, backend: FakeBackend) -> None:
    await new_device(backend, WG)
    await backend.apply(WG, DevicePatch(private_key=PrivateKey(bytes([255] * 32))))
    assert device(host).private_key == PrivateKey(bytes([248, *([255] * 30), 127]))
    await backend.apply(WG, DevicePatch(private_key=PrivateKey(bytes(32))))
    assert device(host).private_key is None


async def test_a_link_that_goes_down_loses_its_ipv6_addresses(host: FakeHost, backend: FakeBackend) -> None:
    four, six = ip_interface("10.0.0.1/8"), ip_interface("fd00::1/8")
    await new_device(backend, WG)
    await backend.apply(WG, DevicePatch(add_addresses=frozenset({four, six}), up=True))
    host.tamper(WG, DevicePatch(up=False))
    assert device(host).addresses == {four}


async def test_only_one_link_that_is_up_can_use_a_port(host: FakeHost, backend: FakeBackend) -> None:
    for ifname in (WG, "wg1"):
        await backend.create(ifname)
        await backend.apply(ifname, DevicePatch(listen_port=51820))
    await backend.apply(WG, DevicePatch(up=True))
    with pytest.raises(BackendError, match="UDP port 51820 is in use"):
        await backend.apply("wg1", DevicePatch(up=True))
    await backend.apply("wg1", DevicePatch(listen_port=51821, up=True))
    with pytest.raises(BackendError, match="UDP port 51820 is in use"):
        await backend.apply("wg1", DevicePatch(listen_port=51820))
    assert device(host, "wg1").listen_port == 51821


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a b", "a:b", "sixteen-letters!"])
async def test_a_name_that_the_kernel_refuses_is_refused(backend: FakeBackend, name: str) -> None:
    with pytest.raises(BackendError, match="is not a valid interface name"):
        await backend.create(name)


async def test_an_injected_fault_fails_one_call_only(host: FakeHost, backend: FakeBackend) -> None:
    before = await spec_device(backend)
    boom = BackendError("boom")
    host.fail_next("read", boom)
    with pytest.raises(BackendError) as caught:
        await backend.read(WG)
    assert caught.value is boom
    host.fail_next("apply")
    with pytest.raises(BackendError, match="injected"):
        await backend.apply(WG, DevicePatch(mtu=1300))
    assert await backend.read(WG) == before


async def test_a_failure_midway_leaves_a_part_applied(host: FakeHost, backend: FakeBackend) -> None:
    await new_device(backend, WG)
    host.fail_midway(after=2)
    with pytest.raises(BackendError, match="midway"):
        await backend.apply(WG, DevicePatch(mtu=1300, peers=(create(1), create(2))))
    assert device(host).mtu == 1300
    assert list(device(host).peers) == [public_key_of(1)]
    await apply_spec(backend, WG, SPEC)


async def test_calls_wait_for_the_hosts_delay(host: FakeHost, backend: FakeBackend) -> None:
    host.delay = timedelta(milliseconds=20)
    loop = asyncio.get_running_loop()
    start = loop.time()
    await backend.read(WG)
    assert loop.time() - start >= 0.019


async def test_changes_from_outside_are_events_of_every_open_backend(host: FakeHost) -> None:
    async with host.open() as one, host.open() as two:
        watches = [one.events(), two.events()]
        await spec_device(one)
        host.tamper(WG, DevicePatch(mtu=1300))
        host.remove_device(WG)
        wanted = [DeviceEvent(WG, DeviceEventKind.CHANGED), DeviceEvent(WG, DeviceEventKind.GONE)]
        for events in watches:
            assert [await anext(events) for _ in wanted] == wanted
    for events in watches:
        assert [event async for event in events] == []
    host.remove_device(WG)


async def test_own_writes_and_traffic_cause_no_events(host: FakeHost) -> None:
    async with host.open() as backend:
        events = backend.events()
        await spec_device(backend)
        host.handshake(WG, public_key_of(1), 1.0)
        host.roam(WG, public_key_of(1), Endpoint.parse("192.0.2.9:9"))
    assert [event async for event in events] == []


async def test_simulated_traffic_shows_on_the_peer(host: FakeHost, backend: FakeBackend) -> None:
    await spec_device(backend)
    host.handshake(WG, public_key_of(1), 12.5, rx_bytes=10, tx_bytes=20)
    host.roam(WG, public_key_of(1), Endpoint.parse("192.0.2.9:9"))
    peer = device(host).peers[public_key_of(1)]
    assert (peer.last_handshake, peer.rx_bytes, peer.tx_bytes) == (12.5, 10, 20)
    assert peer.endpoint == Endpoint.parse("192.0.2.9:9")
    assert peer.allowed_ips == peer_of(1).allowed_ips


async def test_a_state_that_was_read_does_not_change_afterwards(backend: FakeBackend) -> None:
    before = await spec_device(backend)
    await backend.apply(WG, DevicePatch(remove_peers=frozenset({public_key_of(1)})))
    assert public_key_of(1) in before.peers


def files(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def device(host: FakeHost, ifname: str = WG) -> DeviceState:
    state = host.device(ifname)
    assert state is not None
    return state
