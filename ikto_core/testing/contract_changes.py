"""Tests of C9 and C11: changes by other programs, and reads while a write runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec.structs import replace

from ikto_core.device.backend import Backend, DeviceEvent, DeviceEventKind, read_peers
from ikto_core.device.model import DevicePatch
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    allowed_ips_by_number,
    check_equal,
    create,
    event_arrives,
    new_device,
    peer_of,
    public_key_of,
    read_device,
)
from ikto_core.testing.retrieved import retrieved
from ikto_core.values.addressing import Prefix

MOST_EVENTS, QUIET_S = 100, 0.3
"""More events in this time than reads and writes of a device can have caused."""

OVERLAPPING_READS = 4
Seen = dict[int, frozenset[Prefix]]


class ChangeClauses(ContractBase):
    """Clauses about what is read and reported of changes."""

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
        wanted = DeviceEvent(ifname, DeviceEventKind.CHANGED)
        try:
            async with asyncio.timeout(self.patience_s):
                if await event_arrives(backend.events(), change, wanted):
                    wanted = DeviceEvent(ifname, DeviceEventKind.GONE)
                    await event_arrives(backend.events(), delete, wanted, or_end=False)
        except TimeoutError:
            text = f"your `events` did not yield {wanted} within {self.patience_s:g} s, although it happened"
            raise AssertionError(text) from None

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
