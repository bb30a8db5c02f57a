"""C8 to C11: calls that fail, that are cancelled, that overlap, and what others do meanwhile."""

import asyncio

import pytest
from msgspec.structs import replace

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin, DeviceEvent, DeviceEventKind
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    allowed_ips_by_number,
    apply_spec,
    check_equal,
    completes_within,
    create,
    event_arrives,
    expect_error,
    expected_state,
    new_device,
    peer_of,
    public_key_of,
    read_device,
    spec_of,
)


class CallClauses(ContractBase):
    """What is promised of calls, whatever becomes of them."""

    @clause("C8")
    async def test_an_impossible_name_is_a_backend_error(self, backend: Backend, ifname: str) -> None:
        """Linux takes 15 bytes."""
        await expect_error(backend.create(ifname.ljust(16, "x")), BackendError)

    @clause("C8")
    async def test_a_patch_that_fails_can_be_read_and_healed(self, backend: Backend, ifname: str) -> None:
        """A port that is none fails; what was applied before it does not matter after another read and diff."""
        await self._become(backend, ifname, 1)
        await expect_error(backend.apply(ifname, DevicePatch(listen_port=70000, peers=(create(2),))), BackendError)
        await apply_spec(backend, ifname, spec_of(3, listen_port=self.listen_ports[0]))

    @clause("C8")
    async def test_a_port_in_use_is_said(self, backend: Backend, ifname: str, other_ifname: str) -> None:
        """Of two links that are up; the second one takes another port then."""
        taken, free = self.listen_ports[:2]
        for name in (ifname, other_ifname):
            await new_device(backend, name)
        await backend.apply(ifname, DevicePatch(listen_port=taken, up=True))
        await self._advised(backend, other_ifname, DevicePatch(listen_port=taken, up=True))
        await apply_spec(backend, other_ifname, spec_of(1, listen_port=free))

    @clause("C8")
    async def test_a_device_of_another_kind_is_left_alone(self, backend: Backend) -> None:
        """It is somebody else's."""
        if not self.other_kind:
            pytest.skip("C8: `other_kind` names no interface that is no WireGuard device")
        name = self.other_kind
        await self._advised(backend, name, DevicePatch(mtu=1400, peers=(create(1),)))
        for _ in range(2):  # it is still there after the deletion
            for call in (backend.create(name), backend.delete(name)):
                await expect_error(call, BackendError)
            await expect_error(_read(backend, name), BackendError)

    @clause("C8")
    async def test_missing_rights_are_said(self, backend: Backend, ifname: str, other_ifname: str) -> None:
        """Nothing was done then."""
        before = await self._become(backend, ifname, 1)
        await backend.delete(other_ifname)
        with self.unprivileged():
            await self._advised(backend, ifname, DevicePatch(mtu=1300))
            await self._advised(backend, ifname, DevicePatch(peers=(create(2),)))
            await expect_error(backend.create(other_ifname), BackendError)
        check_equal(await read_device(backend, ifname), before)
        check_equal(await backend.read(other_ifname), None)

    @clause("C9")
    async def test_what_another_hand_does_is_told(self, backend: Backend, another: Backend, ifname: str) -> None:
        """A backend whose events end at once tells nothing, and is asked again and again by who needs to know."""
        mtu = 1300

        async def change() -> None:
            nonlocal mtu
            mtu += 1
            await another.apply(ifname, DevicePatch(mtu=mtu))

        async def lose() -> None:
            await backend.create(ifname)
            await another.delete(ifname)

        await new_device(backend, ifname)
        async with asyncio.timeout(self.patience_s):
            if await event_arrives(backend.events(), change, DeviceEvent(ifname, DeviceEventKind.CHANGED)):
                await event_arrives(backend.events(), lose, DeviceEvent(ifname, DeviceEventKind.GONE), or_end=False)

    @clause("C9")
    async def test_what_another_hand_did_is_read(self, backend: Backend, another: Backend, ifname: str) -> None:
        """Of the device and of its peers, told of or not: nothing is read from what the backend wrote itself."""
        before = await self._become(backend, ifname, 2)
        gone = DevicePatch(mtu=1300, remove_peers=frozenset({public_key_of(1)}))
        await another.apply(ifname, gone)
        stays = {key: peer for key, peer in before.peers.items() if key not in gone.remove_peers}
        check_equal(await read_device(backend, ifname), replace(before, mtu=1300, peers=stays))
        await another.delete(ifname)
        check_equal(await backend.read(ifname), None)

    @clause("C10")
    @pytest.mark.usefixtures("backend")  # it removes the device
    async def test_a_cancelled_write_is_mended_and_does_not_come_back(
        self, plugin: BackendPlugin, context: BackendContext
    ) -> None:
        """Cancelled ever later, until one gets through. What is closed has nothing under way."""
        many = DevicePatch(peers=tuple(map(create, range(1, 501))))
        few = spec_of(3, listen_port=self.listen_ports[0])
        delay_s, through = 0.0, False
        while not through:
            async with plugin.open(context) as backend:
                before = await new_device(backend, context.ifname)
                through = await completes_within(delay_s, backend.apply(context.ifname, many))
                await apply_spec(backend, context.ifname, few)
            async with plugin.open(context) as backend:
                check_equal(await read_device(backend, context.ifname), expected_state(few, before))
            delay_s = delay_s * 2 + 0.001

    @clause("C10")
    async def test_any_call_that_was_cancelled_can_be_made_again(self, backend: Backend, ifname: str) -> None:
        """A device half made or half deleted is made or deleted then."""
        delay_s, through = 0.0, False
        while not through:
            await new_device(backend, ifname)
            through = await completes_within(delay_s, backend.delete(ifname))
            await backend.delete(ifname)
            check_equal(await backend.read(ifname), None)
            through &= await completes_within(delay_s, backend.create(ifname))
            await backend.create(ifname)
            through &= await completes_within(delay_s, _read(backend, ifname))
            check_equal((await read_device(backend, ifname)).peers, {})
            delay_s = delay_s * 2 + 0.001

    @clause("C11")
    async def test_a_read_amid_a_write_shows_a_device_on_the_way(self, backend: Backend, ifname: str) -> None:
        """Peers that stay are whole, those that come or go may be there in part."""
        await self._become(backend, ifname, 100)
        comes = range(101, 301)
        stay = {number: peer_of(number).allowed_ips for number in range(1, 101)}
        every = stay | {number: peer_of(number).allowed_ips for number in comes}
        for patch in (
            DevicePatch(peers=tuple(map(create, comes))),
            DevicePatch(remove_peers=frozenset(map(public_key_of, comes))),
        ):
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(backend.apply(ifname, patch))
                while not writing.done():
                    seen = await allowed_ips_by_number(backend, ifname)
                    check_equal({number: seen.get(number) for number in stay}, stay)
                    check_equal([number for number in seen if not seen[number] <= every.get(number, frozenset())], [])

    async def _advised(self, backend: Backend, ifname: str, patch: DevicePatch) -> None:
        """Fail unless the patch is refused with a hint at what to do."""
        error = await expect_error(backend.apply(ifname, patch), BackendError)
        if not error.hint:
            raise AssertionError(f"there is no hint with {error}")


async def _read(backend: Backend, ifname: str) -> None:
    await backend.read(ifname)
