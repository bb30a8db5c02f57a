"""The base of the backend kit: its fixtures, its settings, and the methods that a backend's author overrides."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import ClassVar, TypeVar, cast

import pytest
from hypothesis import settings

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.model import DevicePatch, DeviceState, PeerPatch, PeerState
from ikto_core.testing.clauses import CLAUSES, clause_of, verdict_of
from ikto_core.testing.devices import apply_spec, new_device, private_key_of, session_of, spec_of
from ikto_core.testing.guard import GuardedBackend, guarded_backend, guarded_plugin, original
from ikto_core.testing.loop_watch import LoopBlockedError, on_last_resort, watched_loop
from ikto_core.testing.verdict import ClauseError
from ikto_core.values.keys import PrivateKey

T = TypeVar("T")


class ContractBase:
    """Fixtures and settings of the kit, and methods that skip a test with a message if they are not overridden."""

    unsupported: ClassVar[Mapping[str, str]] = {}  # clause -> why the backend does not keep it; its tests are skipped
    listen_ports: ClassVar[Sequence[int]] = range(42000, 42016)  # UDP ports that no other program uses
    examples: ClassVar[settings] = settings(max_examples=50)  # Hypothesis settings for the change between two specs
    patience_s: ClassVar[float] = 60.0  # how long to wait for an event, in seconds
    call_limit_s: ClassVar[float] = 30.0  # how long a call, or a part of it that does not yield, may take, in seconds
    other_kind: ClassVar[str] = ""  # an interface of this host that is not a WireGuard device; empty: none

    hung: str = ""  # the failure of a test that gave a call up
    hung_before: ClassVar[str] = ""  # the same, of an earlier test of this class

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        """Return the plugin that opens the backend. This fixture must be overridden."""
        pytest.fail("override the fixture `plugin`: return the BackendPlugin to test")

    @pytest.fixture
    def ifname(self) -> str:
        """Return the name of a device that the tests may create, change and delete."""
        return "ikto-kit0"

    @pytest.fixture
    def other_ifname(self) -> str:
        """Return the name of a second such device."""
        return "ikto-kit1"

    @pytest.fixture
    def context(self, ifname: str, tmp_path: Path) -> BackendContext:
        """Return the context with which the backend is opened."""
        return BackendContext(ifname=ifname, state_dir=tmp_path)

    @pytest.fixture
    async def backend(
        self, plugin: BackendPlugin, context: BackendContext, other_ifname: str
    ) -> AsyncIterator[Backend]:
        """Yield the backend; its devices are deleted after the test."""
        async with self._opened(plugin, context) as backend:
            yield backend
            for ifname in (context.ifname, other_ifname):
                await guarded_backend(backend, self.call_limit_s).delete(ifname)

    @pytest.fixture
    async def another(self, plugin: BackendPlugin, context: BackendContext) -> AsyncIterator[Backend]:
        """Yield a second backend for the same devices, whose changes the first one reports as events."""
        async with self._opened(plugin, context) as another:
            yield another

    @pytest.fixture(autouse=True)
    def _stop_after_a_hang(self, request: pytest.FixtureRequest) -> Iterator[None]:
        """Skip the tests after one that had to give a call up: each would wait for it again."""
        kit = type(self)
        if earlier := kit.hung_before:
            pytest.skip(f"not run, because an earlier test failed: {earlier}")
        on_last_resort[:] = [partial(_end_capture, request.config)]
        yield
        if self.hung:
            kit.hung_before = self.hung

    @pytest.fixture(autouse=True)
    def _skip_unsupported(self, request: pytest.FixtureRequest) -> None:
        name = clause_of(request.function)
        if unknown := self.unsupported.keys() - CLAUSES.keys():
            pytest.fail(f"`unsupported` names unknown clauses: {sorted(unknown)}")
        if name in self.unsupported:
            pytest.skip(f"{name} is not supported: {self.unsupported[name]}")

    def guarded(self, value: T) -> T:
        """Return a backend or a plugin with calls that all end, and anything else unchanged."""
        if isinstance(value, BackendPlugin):
            return cast("T", guarded_plugin(value, self.call_limit_s))
        if not isinstance(value, GuardedBackend) and hasattr(value, "apply") and hasattr(value, "events"):
            return cast("T", guarded_backend(cast("Backend", value), self.call_limit_s))
        return value

    @asynccontextmanager
    async def _opened(self, plugin: BackendPlugin, context: BackendContext) -> AsyncIterator[Backend]:
        """Open the backend itself; what does not open or close in time is a failure that names its clause."""
        try:
            with watched_loop(self.call_limit_s):
                manager = guarded_plugin(plugin, self.call_limit_s).open(context)
                guarded = await manager.__aenter__()
        except (Exception, LoopBlockedError) as error:
            raise self._verdict(error) from error
        try:
            yield original(guarded)
        finally:
            try:
                with watched_loop(self.call_limit_s):
                    await manager.__aexit__(None, None, None)
            except (Exception, LoopBlockedError) as error:
                raise self._verdict(error) from error

    def _verdict(self, error: BaseException) -> ClauseError:
        verdict = verdict_of("C8", error)
        self.hung = str(verdict) if verdict.hangs else self.hung
        return verdict

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:  # noqa: ARG002 - for overriding methods
        """Complete a handshake that this peer initiates. Override it to test C5, C12 and C17 in full."""
        pytest.skip("`establish` is not overridden: the tests of sessions (C5, C17) and counters (C12) need it")

    def unprivileged(self) -> AbstractContextManager[None]:
        """Return a context in which the process lacks the rights that the backend needs. Override it to test C8."""
        pytest.skip("`unprivileged` is not overridden: the test of missing rights (C8) needs it")

    async def _device_with_peers(self, backend: Backend, ifname: str, peers: int) -> DeviceState:
        """Create the device anew with the peers 1 to `peers`, and return it."""
        await new_device(backend, ifname)
        return await apply_spec(backend, ifname, spec_of(peers, listen_port=self.listen_ports[0]))

    async def _peer_with_session(self, backend: Backend, ifname: str) -> PeerState:
        """Return a peer that has just completed a handshake with a device that has two other peers."""
        await self._device_with_peers(backend, ifname, 2)
        peer = private_key_of(200)
        await backend.apply(ifname, DevicePatch(peers=(PeerPatch(public_key=peer.public(), create=True),)))
        await self.establish(original(backend), ifname, peer)
        return await session_of(backend, ifname, peer.public())


def _end_capture(config: pytest.Config) -> None:
    """Let what is written reach the terminal: the process is about to end."""
    if capture := config.pluginmanager.getplugin("capturemanager"):
        capture.suspend_global_capture(in_=True)
