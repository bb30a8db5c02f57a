"""Tests of C10 and C16: calls that are cancelled."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from ipaddress import ip_interface
from typing import Any, NamedTuple

import pytest

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    apply_spec,
    check_equal,
    completes_within,
    create,
    expected_state,
    new_device,
    public_key_of,
    read_device,
    spec_of,
)
from ikto_core.testing.retrieved import retrieved
from ikto_core.testing.verdict import ClauseError


class CancellingClauses(ContractBase):
    """Clauses about calls that are cancelled."""

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

    @clause("C10")
    async def test_a_patch_can_be_applied_twice(self, backend: Backend, ifname: str) -> None:
        """Addresses and peers that are there are added again, and those that are gone are removed again."""
        before = await self._device_with_peers(backend, ifname, 2)
        patch = DevicePatch(
            add_addresses=frozenset(map(ip_interface, ("10.79.0.1/16", "fd79::1/64"))),
            remove_addresses=before.addresses,
            peers=(create(3),),
            remove_peers=frozenset({public_key_of(1)}),
        )
        await backend.apply(ifname, patch)
        once = await read_device(backend, ifname)
        check_equal(once.addresses, patch.add_addresses)
        await backend.apply(ifname, patch)
        check_equal(await read_device(backend, ifname), once)

    @clause("C16")
    async def test_a_cancelled_call_ends(self, backend: Backend, ifname: str) -> None:
        """Cancels each call later and later, until one completes. Each ends within `patience_s`, without an error.

        One that returns although it was cancelled has been carried out.
        """
        many = DevicePatch(peers=tuple(map(create, range(1, 501))))
        await self._device_with_peers(backend, ifname, 1)
        for call in (
            _Call("delete", backend.delete, backend.create, lambda _: _peers(backend, ifname), None),
            _Call("create", backend.create, backend.delete, lambda _: _peers(backend, ifname), 0),
            _Call("apply", partial(_apply, backend, many), _nothing, lambda _: _peers(backend, ifname), 500),
            _Call("read", backend.read, _nothing, _peers_in, 500),
        ):
            delay_s, completed = 0.0, False
            while not completed:
                await call.prepare(ifname)
                completed = await _completes_or_is_cancelled(call, ifname, delay_s, self.patience_s)
                delay_s = delay_s * 2 + 0.001
        await self._device_with_peers(backend, ifname, 3)


class _Call(NamedTuple):
    """A call to cancel, what is to be done before it, and how many peers it has made or found when it returns."""

    name: str
    call: Callable[[str], Coroutine[Any, Any, object]]
    prepare: Callable[[str], Awaitable[None]]
    peers: Callable[[object], Awaitable[int | None]]
    wanted: int | None  # None: no device


async def _completes_or_is_cancelled(call: _Call, ifname: str, delay_s: float, patience_s: float) -> bool:
    """Cancel a call after `delay_s` and return whether it had completed by then.

    Raises AssertionError if it has not ended `patience_s` after the cancellation, or returns and was not carried out,
    and any error of its own.
    """
    task = retrieved(asyncio.ensure_future(call.call(ifname)))
    await asyncio.sleep(0)  # it has begun, and with a delay of 0 done little else
    if delay_s:
        await asyncio.wait([task], timeout=delay_s)
    completed = task.done()
    task.cancel()
    await asyncio.wait([task], timeout=patience_s)
    if not task.done():
        task.cancel()
        raise ClauseError("C16", f"a call has not ended {patience_s:g} s after it was cancelled", hangs=True)
    if not task.cancelled() and await call.peers(task.result()) != call.wanted:
        text = f"your `{call.name}` swallowed its cancellation: it returned, and had not been carried out"
        raise AssertionError(text)
    return completed


async def _nothing(_: str) -> None:
    """Prepare nothing."""


async def _apply(backend: Backend, patch: DevicePatch, ifname: str) -> None:
    await backend.apply(ifname, patch)


async def _peers(backend: Backend, ifname: str) -> int | None:
    return await _peers_in(await backend.read(ifname))


async def _peers_in(state: object) -> int | None:
    """Return how many peers a device has; None if there is none."""
    return len(state.peers) if isinstance(state, DeviceState) else None


async def _read(backend: Backend, ifname: str) -> None:
    await backend.read(ifname)
