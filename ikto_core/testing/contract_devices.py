"""C1 to C4, C13 and C15: the device itself, whatever its size, and that it outlives who made it."""

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
from ikto_core.values.addressing import Prefix


class DeviceClauses(ContractBase):
    """What is promised of a device as a whole."""

    @clause("C1")
    async def test_create_makes_a_device_that_is_down_and_empty(self, backend: Backend, ifname: str) -> None:
        """A new device shows nothing of an old one."""
        await self._become(backend, ifname, 2)
        new = await new_device(backend, ifname)
        check_equal((new.up, new.private_key, new.peers, new.addresses), (False, None, {}, frozenset()))

    @clause("C1")
    async def test_create_of_a_device_that_exists_changes_nothing(self, backend: Backend, ifname: str) -> None:
        """Key, port, addresses, peers and link stay."""
        before = await self._become(backend, ifname, 2)
        await backend.create(ifname)
        check_equal(await read_device(backend, ifname), before)

    @clause("C2")
    async def test_an_absent_device_reads_as_none_and_can_be_deleted(self, backend: Backend, ifname: str) -> None:
        """Deleted once or twice, it is not there."""
        await new_device(backend, ifname)
        for _ in range(2):
            await backend.delete(ifname)
            check_equal(await backend.read(ifname), None)

    @clause("C3")
    async def test_apply_to_an_absent_device_is_an_error(self, backend: Backend, ifname: str) -> None:
        """And does not make one."""
        await backend.delete(ifname)
        for patch in (DevicePatch(fwmark=1), DevicePatch(peers=(create(1),)), DevicePatch(up=True)):
            await expect_error(backend.apply(ifname, patch), NoSuchDeviceError)
        check_equal(await backend.read(ifname), None)

    @clause("C4")
    async def test_a_patch_of_one_member_changes_that_member(self, backend: Backend, ifname: str) -> None:
        """Nothing else of the device, none of its peers."""
        await self._become(backend, ifname, 3)
        port = self.listen_ports[1]
        for change in ({"private_key": private_key_of(2)}, {"listen_port": port}, {"mtu": 1380}, {"fwmark": 0}, {}):
            before = await read_device(backend, ifname)
            await backend.apply(ifname, replace(DevicePatch(), **change))
            check_equal(await read_device(backend, ifname), replace(before, **change))

    @clause("C4")
    async def test_addresses_of_one_subnet_come_and_go(self, backend: Backend, ifname: str) -> None:
        """Linux deletes an IPv4 subnet's later addresses with the first one, unless told to promote them."""
        present = (await self._become(backend, ifname, 0)).addresses
        for texts in (["10.78.0.2/16"], ["10.78.0.1/16", "10.78.0.3/16", "fd78::1/64", "fd78::2/64"], []):
            wanted = frozenset(map(ip_interface, texts))
            await backend.apply(ifname, DevicePatch(add_addresses=wanted, remove_addresses=present))
            present = (await read_device(backend, ifname)).addresses
            check_equal(present, wanted)

    @clause("C4")
    async def test_the_link_goes_down_and_up_with_all_its_peers(self, backend: Backend, ifname: str) -> None:
        """Again and again, with no other change: an IPv6 address stays too."""
        await self._become(backend, ifname, 2)
        await backend.apply(ifname, DevicePatch(add_addresses=frozenset({ip_interface("fd78::1/64")})))
        before = await read_device(backend, ifname)
        for up in (True, False, False, True):
            await backend.apply(ifname, DevicePatch(up=up))
            check_equal(await read_device(backend, ifname), replace(before, up=up))

    @clause("C4")
    async def test_an_address_changes_its_prefix_length(self, backend: Backend, ifname: str) -> None:
        """Of one address Linux keeps two IPv4 prefix lengths, but one IPv6 prefix length."""
        await self._become(backend, ifname, 0)
        present = (await read_device(backend, ifname)).addresses
        for texts in (["10.78.0.1/24", "fd78::1/64"], ["10.78.0.1/16", "fd78::1/48"]):
            wanted = frozenset(map(ip_interface, texts))
            await backend.apply(ifname, DevicePatch(add_addresses=wanted, remove_addresses=present))
            present = (await read_device(backend, ifname)).addresses
            check_equal(present, wanted)

    @clause("C13")
    @pytest.mark.parametrize("peers", [0, 1, 1000])
    async def test_any_number_of_peers_is_shown_and_goes_again(self, backend: Backend, ifname: str, peers: int) -> None:
        """Added in one patch, removed in another."""
        await self._become(backend, ifname, peers)
        await apply_spec(backend, ifname, spec_of(0, listen_port=self.listen_ports[0]))

    @clause("C13")
    async def test_any_device_becomes_any_other(self, backend: Backend, ifname: str) -> None:
        """Of the same keys and prefixes, so that much moves between peers."""
        loop = asyncio.get_running_loop()  # Hypothesis is synchronous: it runs in a thread, and the backend here

        @settings(self.examples, deadline=None)
        @given(specs=spec_pairs(self.listen_ports))
        def example(specs: tuple[DeviceSpec, DeviceSpec]) -> None:
            asyncio.run_coroutine_threadsafe(apply_specs(backend, ifname, *specs), loop).result()

        await asyncio.to_thread(example)

    @clause("C13")
    async def test_a_peer_of_600_allowed_ips_is_written_and_read_whole(self, backend: Backend, ifname: str) -> None:
        """They don't fit in one message to a kernel; all but 50 stay when those go."""
        await new_device(backend, ifname)
        whole = replace(peer_of(1), allowed_ips=frozenset(Prefix.parse(f"fd10:{n:x}::/32") for n in range(600)))
        fewer = replace(whole, allowed_ips=frozenset(sorted(whole.allowed_ips)[50:]))
        spec = spec_of(2, listen_port=self.listen_ports[0])
        for peer in (whole, fewer):
            await apply_spec(backend, ifname, replace(spec, peers={**spec.peers, peer.public_key: peer}))

    @clause("C15")
    @pytest.mark.usefixtures("backend")  # it removes the device
    async def test_a_device_outlives_the_closing_of_its_backend(
        self, plugin: BackendPlugin, context: BackendContext
    ) -> None:
        """Tunnels outlive an agent's restart: who opens the backend next finds what the last one left."""
        async with plugin.open(context) as first:
            await new_device(first, context.ifname)
            before = await apply_spec(first, context.ifname, spec_of(2, listen_port=self.listen_ports[0]))
        async with plugin.open(context) as second:
            check_equal(await read_device(second, context.ifname), before)
