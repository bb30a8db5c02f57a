"""Tests of C18 and C19: other programs and other processes use the same device."""

import asyncio

import pytest
from msgspec.structs import replace

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.diff import diff
from ikto_core.device.model import DevicePatch, PeerPatch
from ikto_core.testing.backend_process import in_new_process
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    apply_spec,
    check_equal,
    create,
    expected_state,
    new_device,
    public_key_of,
    read_device,
    spec_of,
)
from ikto_core.values.addressing import Endpoint
from ikto_core.values.keys import PublicKey

PATCHES = (
    DevicePatch(peers=(create(3),)),
    DevicePatch(peers=(PeerPatch(public_key=public_key_of(2), persistent_keepalive=7),)),
    DevicePatch(remove_peers=frozenset({public_key_of(2)})),
    DevicePatch(fwmark=5, mtu=1300),
)


class SharingClauses(ContractBase):
    """Clauses about a device that others change as well."""

    @clause("C18")
    async def test_peers_of_another_program_stay(self, backend: Backend, another: Backend, ifname: str) -> None:
        """Writes to other peers and to the device leave them, and what the other program changed of a known peer."""
        self._needs_another()
        await self._device_with_peers(backend, ifname, 2)
        for number, patch in enumerate(PATCHES):
            moved = Endpoint.parse(f"198.51.100.{number + 1}:7")  # as a peer that roams
            changed = PeerPatch(public_key=public_key_of(1), persistent_keepalive=11 + number, endpoint=moved)
            await another.apply(ifname, DevicePatch(peers=(create(40 + number), changed)))
            await _check_others_stay(backend, another, ifname, patch, 40 + number)

    @clause("C18")
    @pytest.mark.usefixtures("backend")  # deletes the device after the test
    async def test_peers_of_another_program_stay_after_a_restart(
        self, plugin: BackendPlugin, context: BackendContext
    ) -> None:
        """They were written while the backend was closed."""
        ifname = context.ifname
        for number, patch in enumerate(PATCHES):
            async with plugin.open(context) as first:
                await self._device_with_peers(first, ifname, 2)
            async with plugin.open(context) as other:
                await other.apply(ifname, DevicePatch(peers=(create(40 + number),)))
            async with plugin.open(context) as again:
                await _check_others_stay(again, again, ifname, patch, 40 + number)

    @clause("C18")
    async def test_a_spec_that_keeps_foreign_peers_keeps_them(
        self, backend: Backend, another: Backend, ifname: str
    ) -> None:
        """The difference between the spec and the device removes no peer, and neither does the backend."""
        self._needs_another()
        spec = replace(spec_of(2, listen_port=self.listen_ports[0]), keep_foreign_peers=True)
        await self._device_with_peers(backend, ifname, 1)
        await another.apply(ifname, DevicePatch(peers=(create(8),)))
        before = await read_device(backend, ifname)
        foreign = public_key_of(8)
        check_equal({foreign} & before.peers.keys(), {foreign})
        await backend.apply(ifname, diff(spec, before))
        wanted = expected_state(spec, before)
        check_equal(
            await read_device(backend, ifname), replace(wanted, peers={**wanted.peers, foreign: before.peers[foreign]})
        )

    @clause("C18")
    async def test_writes_of_two_programs_at_the_same_time_are_both_there(
        self, backend: Backend, another: Backend, ifname: str
    ) -> None:
        """A backend that reads the device, changes what it read, and writes it all back loses one of them."""
        self._needs_another()
        await self._device_with_peers(backend, ifname, 1)
        for number in range(10, 20):
            mine, foreign = create(number), create(number + 50)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(backend.apply(ifname, DevicePatch(peers=(mine,))))
                tasks.create_task(another.apply(ifname, DevicePatch(peers=(foreign,))))
        wanted = _keys(1, *range(10, 20), *range(60, 70))
        check_equal(frozenset((await read_device(backend, ifname)).peers), wanted)

    @clause("C19")
    async def test_two_devices_have_nothing_in_common(self, backend: Backend, ifname: str, other_ifname: str) -> None:
        """Writes to one of them, and its end, leave the other as it is."""
        first = await self._device_with_peers(backend, ifname, 2)
        await new_device(backend, other_ifname)
        patch = DevicePatch(fwmark=8, mtu=1310, peers=(create(5),), remove_peers=frozenset({public_key_of(1)}))
        await backend.apply(other_ifname, patch)
        check_equal(await read_device(backend, ifname), first)
        second = await read_device(backend, other_ifname)
        check_equal({"mtu": second.mtu, "peers": set(second.peers)}, {"mtu": 1310, "peers": set(_keys(5))})
        await backend.delete(ifname)
        check_equal(await read_device(backend, other_ifname), second)

    @clause("C19")
    async def test_two_backends_show_the_same_device(
        self, plugin: BackendPlugin, context: BackendContext, backend: Backend, ifname: str
    ) -> None:
        """The second one is opened after the device was written, and writes to it as well."""
        before = await self._device_with_peers(backend, ifname, 3)
        async with plugin.open(context) as second:
            check_equal(await read_device(second, ifname), before)
            await second.apply(ifname, DevicePatch(remove_peers=frozenset({public_key_of(2)})))
        async with plugin.open(context) as third:
            peers = {key: peer for key, peer in before.peers.items() if key != public_key_of(2)}
            check_equal(await read_device(third, ifname), replace(before, peers=peers))

    @clause("C19")
    @pytest.mark.usefixtures("backend")  # deletes the device after the test
    async def test_another_process_finds_and_changes_the_device(
        self, plugin: BackendPlugin, context: BackendContext
    ) -> None:
        """A restarted agent is another process: nothing may be kept in a module."""
        ifname = context.ifname
        async with plugin.open(context) as first:
            await first.delete(ifname)
            await first.create(ifname)
            before = await apply_spec(first, ifname, spec_of(3, listen_port=self.listen_ports[0]))
        patch = DevicePatch(fwmark=9, peers=(create(4),), remove_peers=frozenset({public_key_of(2)}))
        shown, after = await in_new_process(plugin, context, patch, self.call_limit_s)
        check_equal(shown, before)
        async with plugin.open(context) as again:
            check_equal(await read_device(again, ifname), after)
            check_equal(frozenset((await read_device(again, ifname)).peers), _keys(1, 3, 4))

    def _needs_another(self) -> None:
        if "C9" in self.unsupported:
            pytest.skip("C18: changes of another program are not read, as C9 is not supported")


async def _check_others_stay(backend: Backend, other: Backend, ifname: str, patch: DevicePatch, number: int) -> None:
    """Fail unless a patch leaves peer 1, and the peer with this number, as they are."""
    others = _keys(1, number)
    before = (await read_device(other, ifname)).peers
    check_equal(others & before.keys(), others)
    await backend.apply(ifname, patch)
    after = (await read_device(other, ifname)).peers
    check_equal({key: after[key] for key in others if key in after}, {key: before[key] for key in others})


def _keys(*numbers: int) -> frozenset[PublicKey]:
    return frozenset(map(public_key_of, numbers))
