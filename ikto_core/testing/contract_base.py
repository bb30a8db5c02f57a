"""What the tests of every clause share: the fixtures, and the hooks for what only a backend's author can do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.model import DeviceState
from ikto_core.testing.clauses import CLAUSES, clause_of
from ikto_core.testing.devices import apply_spec, new_device, spec_of
from ikto_core.values.keys import PrivateKey


class ContractBase:
    """Fixtures to give or replace, settings, and hooks that skip aloud where they are not overridden."""

    unsupported: ClassVar[Mapping[str, str]] = {}  # clause -> why this backend can't keep it; its tests are skipped
    listen_ports: ClassVar[Sequence[int]] = range(42000, 42016)  # UDP ports that nobody else uses
    examples: ClassVar[settings] = settings(max_examples=50)  # of the round trip of any two specs
    patience_s: ClassVar[float] = 60.0  # how long an event may take
    other_kind: ClassVar[str] = ""  # an interface of this host that is no WireGuard device; empty: there is none

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        """Return what opens the backend: the one fixture that must be given."""
        pytest.fail("give the fixture `plugin`: the BackendPlugin whose backend is to be tested")

    @pytest.fixture
    def ifname(self) -> str:
        """Return the name of a device that the tests may do anything to."""
        return "ikto-kit0"

    @pytest.fixture
    def other_ifname(self) -> str:
        """Return the name of a second device, as free to use."""
        return "ikto-kit1"

    @pytest.fixture
    def context(self, ifname: str, tmp_path: Path) -> BackendContext:
        """Return what the backend is opened with."""
        return BackendContext(ifname=ifname, state_dir=tmp_path)

    @pytest.fixture
    async def backend(
        self, plugin: BackendPlugin, context: BackendContext, other_ifname: str
    ) -> AsyncIterator[Backend]:
        """Yield the backend; its devices go with the test."""
        async with plugin.open(context) as backend:
            yield backend
            for ifname in (context.ifname, other_ifname):
                await backend.delete(ifname)

    @pytest.fixture
    async def another(self, plugin: BackendPlugin, context: BackendContext) -> AsyncIterator[Backend]:
        """Yield another hand on the same devices, whose doings `events` tells of: the backend opened once more."""
        async with plugin.open(context) as another:
            yield another

    @pytest.fixture(autouse=True)
    def _supported(self, request: pytest.FixtureRequest) -> None:
        name = clause_of(request.function)
        if unknown := self.unsupported.keys() - CLAUSES.keys():
            pytest.fail(f"`unsupported` names no clause of the contract: {sorted(unknown)}")
        if name in self.unsupported:
            pytest.skip(f"{name} is not supported: {self.unsupported[name]}")

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:  # noqa: ARG002 - for who overrides it
        """Complete a handshake with this peer, who speaks first; override it, or C5 and C12 are half shown."""
        pytest.skip("`establish` is not overridden, so there is no session to keep (C5) or to count (C12)")

    def unprivileged(self) -> AbstractContextManager[None]:
        """Take away for a while the rights that the backend needs; override it, or C8 is half shown."""
        pytest.skip("`unprivileged` is not overridden, so nothing is refused for missing rights (C8)")

    async def _become(self, backend: Backend, ifname: str, peers: int) -> DeviceState:
        """Make the device anew, with peers 1 to `peers`."""
        await new_device(backend, ifname)
        return await apply_spec(backend, ifname, spec_of(peers, listen_port=self.listen_ports[0]))
