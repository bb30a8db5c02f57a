"""Tests of C8: what fails raises BackendError, with a hint, and changes nothing else."""

from contextlib import suppress

import pytest

from ikto_core.device.backend import Backend, read_peers
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError
from ikto_core.testing.clauses import clause
from ikto_core.testing.contract_base import ContractBase
from ikto_core.testing.devices import (
    apply_spec,
    check_equal,
    create,
    expect_error,
    new_device,
    public_key_of,
    read_device,
    spec_of,
)


class ErrorClauses(ContractBase):
    """Clauses about calls that fail."""

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

    async def _expect_hint(self, backend: Backend, ifname: str, patch: DevicePatch) -> None:
        """Fail unless the patch is refused with a hint."""
        error = await expect_error(backend.apply(ifname, patch), BackendError)
        if not error.hint:
            raise AssertionError(f"the error has no hint: {error}")


async def _read(backend: Backend, ifname: str) -> None:
    await backend.read(ifname)


async def _read_peers(backend: Backend, ifname: str) -> None:
    await read_peers(backend, ifname, {public_key_of(1)})
