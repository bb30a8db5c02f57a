"""Tests of C1 to C4, C13 and C15: the device as a whole, its size, and that it outlives its backend."""

import asyncio
from ipaddress import ip_interface

import pytest
from hypothesis import given, settings
from msgspec.structs import replace

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.model import DevicePatch, DeviceSpec
from ikto_core.errors import NoSuchDeviceError
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    apply_spec,
    apply_specs,
    check_equal,
    create,
    expect_error,
    new_device,
    peer_of,
    private_key_of,
    read_device,
    spec_of,
    spec_pairs,
)
from ikto_core.testing.shrinking import with_bounded_shrinking
from ikto_core.values.addressing import Prefix


class DeviceClauses(ContractBase):
    """Clauses about a device as a whole."""

    @clause("C1")
    async def test_a_new_device_is_down_and_empty(self, backend: Backend, ifname: str) -> None:
        """It keeps nothing of a deleted device of the same name."""
        await self._device_with_peers(backend, ifname, 2)
        new = await new_device(backend, ifname)
        check_equal(new, replace(new, up=False, private_key=None, peers={}, addresses=frozenset()))

    @clause("C1")
    async def test_create_of_a_device_that_exists_changes_nothing(self, backend: Backend, ifname: str) -> None:
        """Key, port, addresses, peers and link state stay."""
        before = await self._device_with_peers(backend, ifname, 2)
        await backend.create(ifname)
        check_equal(await read_device(backend, ifname), before)

    @clause("C2")
    async def test_an_absent_device_reads_as_none_and_can_be_deleted(self, backend: Backend, ifname: str) -> None:
        """It can be deleted repeatedly."""
        await new_device(backend, ifname)
        for _ in range(2):
            await backend.delete(ifname)
            check_equal(await backend.read(ifname), None)

    @clause("C3")
    async def test_apply_to_an_absent_device_is_an_error(self, backend: Backend, ifname: str) -> None:
        """It does not create the device."""
        await backend.delete(ifname)
        for patch in (DevicePatch(fwmark=1), DevicePatch(peers=(create(1),)), DevicePatch(up=True)):
            await expect_error(backend.apply(ifname, patch), NoSuchDeviceError)
        check_equal(await backend.read(ifname), None)

    @clause("C4")
    async def test_a_patch_of_one_field_changes_that_field_only(self, backend: Backend, ifname: str) -> None:
        """The rest of the device and its peers are unchanged."""
        await self._device_with_peers(backend, ifname, 3)
        port = self.listen_ports[1]
        for change in ({"private_key": private_key_of(2)}, {"listen_port": port}, {"mtu": 1380}, {"fwmark": 0}, {}):
            before = await read_device(backend, ifname)
            await backend.apply(ifname, replace(DevicePatch(), **change))
            check_equal(await read_device(backend, ifname), replace(before, **change))

    @clause("C4")
    async def test_addresses_of_one_subnet_are_added_and_removed(self, backend: Backend, ifname: str) -> None:
        """Linux removes an IPv4 subnet's secondary addresses with its primary one if promote_secondaries is off."""
        present = (await self._device_with_peers(backend, ifname, 0)).addresses
        for texts in (["10.78.0.2/16"], ["10.78.0.1/16", "10.78.0.3/16", "fd78::1/64", "fd78::2/64"], []):
            wanted = frozenset(map(ip_interface, texts))
            await backend.apply(ifname, DevicePatch(add_addresses=wanted, remove_addresses=present))
            present = (await read_device(backend, ifname)).addresses
            check_equal(present, wanted)

    @clause("C4")
    async def test_the_link_goes_down_and_up_without_other_changes(self, backend: Backend, ifname: str) -> None:
        """Its peers and its addresses stay, the IPv6 ones included."""
        await self._device_with_peers(backend, ifname, 2)
        await backend.apply(ifname, DevicePatch(add_addresses=frozenset({ip_interface("fd78::1/64")})))
        before = await read_device(backend, ifname)
        for up in (True, False, False, True):
            await backend.apply(ifname, DevicePatch(up=up))
            check_equal(await read_device(backend, ifname), replace(before, up=up))
            await backend.apply(ifname, DevicePatch(fwmark=9, peers=(create(1),)))
            check_equal((await read_device(backend, ifname)).up, up)  # which the patch does not name
            await backend.apply(ifname, DevicePatch(fwmark=before.fwmark))

    @clause("C4")
    async def test_an_address_changes_its_prefix_length(self, backend: Backend, ifname: str) -> None:
        """Linux can have an IPv4 address with two prefix lengths, but an IPv6 address with one only."""
        await self._device_with_peers(backend, ifname, 0)
        present = (await read_device(backend, ifname)).addresses
        for texts in (["10.78.0.1/24", "fd78::1/64"], ["10.78.0.1/16", "fd78::1/48"]):
            wanted = frozenset(map(ip_interface, texts))
            await backend.apply(ifname, DevicePatch(add_addresses=wanted, remove_addresses=present))
            present = (await read_device(backend, ifname)).addresses
            check_equal(present, wanted)

    @clause("C13")
    @pytest.mark.parametrize("peers", [0, 1, 1000])
    async def test_any_number_of_peers_is_added_and_removed(self, backend: Backend, ifname: str, peers: int) -> None:
        """One patch adds them, another one removes them."""
        await self._device_with_peers(backend, ifname, peers)
        await apply_spec(backend, ifname, spec_of(0, listen_port=self.listen_ports[0]))

    @clause("C13")
    async def test_any_device_can_be_changed_to_any_other(self, backend: Backend, ifname: str) -> None:
        """Both have the same keys and prefixes, so that many prefixes move between peers."""
        loop = asyncio.get_running_loop()  # Hypothesis is synchronous: it runs in a thread, the backend in this loop

        @with_bounded_shrinking
        def check(specs: tuple[DeviceSpec, DeviceSpec]) -> None:
            asyncio.run_coroutine_threadsafe(apply_specs(backend, ifname, *specs), loop).result()

        @settings(self.examples, deadline=None)
        @given(specs=spec_pairs(self.listen_ports))
        def example(specs: tuple[DeviceSpec, DeviceSpec]) -> None:
            check(specs)

        await asyncio.to_thread(example)

    @clause("C13")
    async def test_a_peer_with_600_allowed_ips_is_written_and_read(self, backend: Backend, ifname: str) -> None:
        """They don't fit in one netlink message. Then 50 of them are removed, and the others stay."""
        await new_device(backend, ifname)
        whole = replace(peer_of(1), allowed_ips=frozenset(Prefix.parse(f"fd10:{n:x}::/32") for n in range(600)))
        fewer = replace(whole, allowed_ips=frozenset(sorted(whole.allowed_ips)[50:]))
        spec = spec_of(2, listen_port=self.listen_ports[0])
        for peer in (whole, fewer):
            await apply_spec(backend, ifname, replace(spec, peers={**spec.peers, peer.public_key: peer}))

    @clause("C15")
    async def test_opening_creates_no_device(
        self, plugin: BackendPlugin, context: BackendContext, backend: Backend, ifname: str
    ) -> None:
        """Only `create` does. A device that is absent stays so while backends are opened and closed."""
        await backend.delete(ifname)
        for _ in range(2):
            async with plugin.open(context) as opened:
                check_equal(await opened.read(ifname), None)
        check_equal(await backend.read(ifname), None)

    @clause("C15")
    @pytest.mark.usefixtures("backend")  # deletes the device after the test
    async def test_a_device_outlives_its_backend(self, plugin: BackendPlugin, context: BackendContext) -> None:
        """The next backend that is opened finds the device unchanged: tunnels survive a restart of the agent."""
        async with plugin.open(context) as first:
            await new_device(first, context.ifname)
            before = await apply_spec(first, context.ifname, spec_of(2, listen_port=self.listen_ports[0]))
        async with plugin.open(context) as second:
            check_equal(await read_device(second, context.ifname), before)
