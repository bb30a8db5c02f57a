"""Tests of C8 to C11 and C16: failed, cancelled and overlapping calls, and changes by other programs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin, DeviceEvent, DeviceEventKind, read_peers
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    allowed_ips_by_number,
    apply_spec,
    check_equal,
    completes_or_is_cancelled,
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
from ikto_core.testing.retrieved import retrieved
from ikto_core.values.addressing import Prefix

MOST_EVENTS, QUIET_S = 100, 0.3
"""More events in this time than reads and writes of a device can have caused."""


OVERLAPPING_READS = 4
Seen = dict[int, frozenset[Prefix]]


class CallClauses(ContractBase):
    """Clauses about single calls."""

    @clause("C8")
    async def test_an_invalid_name_is_a_backend_error(self, backend: Backend, ifname: str) -> None:
        """The name of a Linux interface has at most 15 bytes. There may be no such device, or an error."""
        name = ifname.ljust(16, "x")
        await expect_error(backend.create(name), BackendError)
        await expect_error(backend.apply(name, DevicePatch(mtu=1300)), BackendError)
        for call in (backend.delete(name), _read(backend, name)):
            with suppress(BackendError):
                await call

    @clause("C8")
    async def test_a_device_can_be_repaired_after_a_failed_patch(self, backend: Backend, ifname: str) -> None:
        """The patch has an invalid port. Another read, diff and apply works, whatever part of it was applied."""
        await self._device_with_peers(backend, ifname, 1)
        await expect_error(backend.apply(ifname, DevicePatch(listen_port=70000, peers=(create(2),))), BackendError)
        await apply_spec(backend, ifname, spec_of(3, listen_port=self.listen_ports[0]))

    @clause("C8")
    async def test_a_port_in_use_is_an_error_with_a_hint(
        self, backend: Backend, ifname: str, other_ifname: str
    ) -> None:
        """Two links that are up can't have the same port. The second one can be given another port after that."""
        taken, free = self.listen_ports[:2]
        for name in (ifname, other_ifname):
            await new_device(backend, name)
        await backend.apply(ifname, DevicePatch(listen_port=taken, up=True))
        await self._expect_hint(backend, other_ifname, DevicePatch(listen_port=taken, up=True))
        await apply_spec(backend, other_ifname, spec_of(1, listen_port=free))

    @clause("C8")
    async def test_an_interface_of_another_kind_is_refused_and_unchanged(self, backend: Backend) -> None:
        """No call changes or deletes an interface that is not a WireGuard device."""
        if not self.other_kind:
            pytest.skip("C8: `other_kind` is not set to an interface that is not a WireGuard device")
        name = self.other_kind
        await self._expect_hint(backend, name, DevicePatch(mtu=1400, peers=(create(1),)))
        for _ in range(2):  # the second time shows that the first one did not delete it
            for call in (backend.create(name), backend.delete(name)):
                await expect_error(call, BackendError)
            for reading in (_read(backend, name), _read_peers(backend, name)):
                await expect_error(reading, BackendError)

    @clause("C8")
    async def test_missing_rights_are_an_error_with_a_hint(
        self, backend: Backend, ifname: str, other_ifname: str
    ) -> None:
        """The refused calls change nothing."""
        before = await self._device_with_peers(backend, ifname, 1)
        await backend.delete(other_ifname)
        with self.unprivileged():
            await self._expect_hint(backend, ifname, DevicePatch(mtu=1300))
            await self._expect_hint(backend, ifname, DevicePatch(peers=(create(2),)))
            await expect_error(backend.create(other_ifname), BackendError)
        check_equal(await read_device(backend, ifname), before)
        check_equal(await backend.read(other_ifname), None)

    @clause("C9")
    async def test_changes_by_another_program_are_events(self, backend: Backend, another: Backend, ifname: str) -> None:
        """Unless the events end at once, because the system can't report changes."""
        mtu = 1300

        async def change() -> None:
            nonlocal mtu
            mtu += 1
            await another.apply(ifname, DevicePatch(mtu=mtu))

        async def delete() -> None:
            await backend.create(ifname)
            await another.delete(ifname)

        await new_device(backend, ifname)
        async with asyncio.timeout(self.patience_s):
            if await event_arrives(backend.events(), change, DeviceEvent(ifname, DeviceEventKind.CHANGED)):
                await event_arrives(backend.events(), delete, DeviceEvent(ifname, DeviceEventKind.GONE), or_end=False)

    @clause("C9")
    async def test_a_device_that_nobody_changes_has_no_stream_of_events(self, backend: Backend, ifname: str) -> None:
        """Each event makes Ikto read the whole device."""
        await self._device_with_peers(backend, ifname, 1)
        count = 0

        async def listen() -> None:
            nonlocal count
            async for event in backend.events():
                count += event.ifname == ifname
                if count > MOST_EVENTS:
                    raise AssertionError(f"`events` reported {count} changes of a device that nobody changed")

        with suppress(TimeoutError):
            async with asyncio.timeout(QUIET_S):
                await listen()

    @clause("C9")
    async def test_changes_by_another_program_are_read(self, backend: Backend, another: Backend, ifname: str) -> None:
        """A read shows the device and its peers as they are now, with or without an event, not a cached state."""
        before = await self._device_with_peers(backend, ifname, 2)
        gone = DevicePatch(mtu=1300, remove_peers=frozenset({public_key_of(1)}))
        await another.apply(ifname, gone)
        remaining = {key: peer for key, peer in before.peers.items() if key not in gone.remove_peers}
        check_equal(await read_device(backend, ifname), replace(before, mtu=1300, peers=remaining))
        check_equal(dict(await read_peers(backend, ifname, before.peers.keys())), remaining)
        await another.delete(ifname)
        check_equal(await backend.read(ifname), None)

    @clause("C10")
    @pytest.mark.usefixtures("backend")  # deletes the device after the test
    async def test_a_cancelled_write_is_not_carried_out_after_a_later_call(
        self, plugin: BackendPlugin, context: BackendContext
    ) -> None:
        """Cancels a write later and later, until one completes. A closed backend writes nothing either."""
        many = DevicePatch(peers=tuple(map(create, range(1, 501))))
        few = spec_of(3, listen_port=self.listen_ports[0])
        delay_s, completed = 0.0, False
        while not completed:
            async with plugin.open(context) as backend:
                before = await new_device(backend, context.ifname)
                completed = await completes_within(delay_s, backend.apply(context.ifname, many))
                await apply_spec(backend, context.ifname, few)
            async with plugin.open(context) as backend:
                check_equal(await read_device(backend, context.ifname), expected_state(few, before))
            delay_s = delay_s * 2 + 0.001

    @clause("C10")
    async def test_any_cancelled_call_can_be_repeated(self, backend: Backend, ifname: str) -> None:
        """The repeated call completes a device that was created or deleted in part."""
        delay_s, completed = 0.0, False
        while not completed:
            await new_device(backend, ifname)
            completed = await completes_within(delay_s, backend.delete(ifname))
            await backend.delete(ifname)
            check_equal(await backend.read(ifname), None)
            completed &= await completes_within(delay_s, backend.create(ifname))
            await backend.create(ifname)
            completed &= await completes_within(delay_s, _read(backend, ifname))
            check_equal((await read_device(backend, ifname)).peers, {})
            delay_s = delay_s * 2 + 0.001

    @clause("C11")
    async def test_a_read_during_a_write_shows_every_peer_that_stays(self, backend: Backend, ifname: str) -> None:
        """Peers that stay are complete; peers that are added or removed may have a part of their allowed IPs."""
        await self._device_with_peers(backend, ifname, 100)
        added = range(101, 301)
        kept = {number: peer_of(number).allowed_ips for number in range(1, 101)}
        every = kept | {number: peer_of(number).allowed_ips for number in added}
        for patch in (
            DevicePatch(peers=tuple(map(create, added))),
            DevicePatch(remove_peers=frozenset(map(public_key_of, added))),
            DevicePatch(peers=(create(101),)),
        ):
            async for seen in _reads_during(
                backend.apply(ifname, patch), partial(allowed_ips_by_number, backend, ifname)
            ):
                check_equal({number: seen.get(number) for number in kept}, kept)
                check_equal([number for number in seen if not seen[number] <= every.get(number, frozenset())], [])

    @clause("C16")
    async def test_a_cancelled_call_ends(self, backend: Backend, ifname: str) -> None:
        """Cancels each call later and later, until one completes. Each ends within `patience_s`, without an error."""
        many = DevicePatch(peers=tuple(map(create, range(1, 501))))
        await self._device_with_peers(backend, ifname, 1)
        calls: tuple[Callable[[], Coroutine[Any, Any, object]], ...] = (
            partial(backend.create, ifname),
            partial(backend.apply, ifname, many),
            partial(backend.read, ifname),
            partial(backend.delete, ifname),
        )
        for call in calls:
            delay_s = 0.0
            while not await completes_or_is_cancelled(delay_s, call(), self.patience_s):
                delay_s = delay_s * 2 + 0.001
        check_equal(await backend.read(ifname), None)
        await self._device_with_peers(backend, ifname, 3)

    async def _expect_hint(self, backend: Backend, ifname: str, patch: DevicePatch) -> None:
        """Fail unless the patch is refused with a hint."""
        error = await expect_error(backend.apply(ifname, patch), BackendError)
        if not error.hint:
            raise AssertionError(f"the error has no hint: {error}")


async def _reads_during(write: Awaitable[None], read: Callable[[], Coroutine[Any, Any, Seen]]) -> AsyncIterator[Seen]:
    """Yield what reads show while a write runs. They overlap, so that one is under way at each step of the write."""
    reading = [retrieved(asyncio.ensure_future(read()))]  # a step ahead of the write
    writing = retrieved(asyncio.ensure_future(write))
    try:
        while not writing.done():
            reading.append(retrieved(asyncio.ensure_future(read())))
            await asyncio.sleep(0)
            if len(reading) >= OVERLAPPING_READS:
                yield await reading.pop(0)
        for task in reading:
            yield await task
        await writing
    finally:
        for pending in (writing, *reading):
            pending.cancel()
        await asyncio.wait([writing, *reading])


async def _read(backend: Backend, ifname: str) -> None:
    await backend.read(ifname)


async def _read_peers(backend: Backend, ifname: str) -> None:
    await read_peers(backend, ifname, {public_key_of(1)})
