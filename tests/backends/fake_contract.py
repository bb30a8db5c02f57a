"""The contract kit for the fake backend, with the overrides that a backend's own tests provide."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ikto_backends.fake import FakeBackend, FakeHost
from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.model import DevicePatch
from ikto_core.testing import BackendContract
from ikto_core.values.keys import PrivateKey


class OutsideBackend(FakeBackend):
    """Changes devices from outside, as another program does: the other backends report events."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.host.tamper(ifname, patch)

    async def delete(self, ifname: str) -> None:
        self.host.remove_device(ifname)


def plugin_of(host: FakeHost, kind: type[FakeBackend] = FakeBackend) -> BackendPlugin:
    """Return a plugin that opens backends of class `kind` on one host."""

    @asynccontextmanager
    async def open_backend(_: BackendContext) -> AsyncIterator[Backend]:
        backend = kind(host)
        try:
            yield backend
        finally:
            backend.close()

    return BackendPlugin(name="fake", summary="for tests", open=open_backend, host_devices=False)


class FakeContract(BackendContract):
    @pytest.fixture
    def host(self, tmp_path: Path) -> FakeHost:
        return FakeHost(tmp_path)

    @pytest.fixture
    def plugin(self, host: FakeHost) -> BackendPlugin:
        return plugin_of(host)

    @pytest.fixture
    def another(self, host: FakeHost) -> Backend:
        return OutsideBackend(host)

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:
        assert isinstance(backend, FakeBackend)
        backend.host.handshake(ifname, peer.public(), 1_700_000_000.0)
