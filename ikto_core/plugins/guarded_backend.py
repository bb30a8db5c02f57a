"""A backend whose own errors are PluginErrors that name it, whichever of its methods raises them.

The core distinguishes BackendError, after which it reads the device again, from anything else, which ends the agent.
Without this, a KeyError of a plugin would be reported as an internal error of Ikto.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Set
from typing import TypeVar, cast

from ikto_core.deprecations import Provider
from ikto_core.device.backend import Backend, DeviceEvent, PeerReader
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.errors import PluginError
from ikto_core.plugins.faults import AUTHOR_HINT, as_plugin_error
from ikto_core.values.keys import PublicKey

T = TypeVar("T")
_END = object()


class GuardedBackend:
    """A backend that raises IktoError only. `backend` is what the plugin's `open` yielded."""

    def __init__(self, backend: Backend, provider: Provider) -> None:
        self.backend = backend
        self._provider = provider

    async def read(self, ifname: str) -> DeviceState | None:
        """Return the state of the device; None if it is absent."""
        state: object = await self._call("read", lambda: self.backend.read(ifname))
        if state is None or isinstance(state, DeviceState):
            return state
        raise self._wrong(f"`read` returned {type(state).__name__}, not a DeviceState or None")

    async def create(self, ifname: str) -> None:
        """Create the device unless it exists."""
        await self._call("create", lambda: self.backend.create(ifname))

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        """Write the values that the patch names, and nothing else."""
        await self._call("apply", lambda: self.backend.apply(ifname, patch))

    async def delete(self, ifname: str) -> None:
        """Delete the device if it exists."""
        await self._call("delete", lambda: self.backend.delete(ifname))

    async def events(self) -> AsyncIterator[DeviceEvent]:
        """Yield the backend's events."""
        with as_plugin_error(self._provider, "events"):
            found: object = self.backend.events()
        if not isinstance(found, AsyncIterator):
            raise self._wrong(f"`events` returned {type(found).__name__}, not an async iterator")
        try:
            while (event := await self._call("events", lambda: anext(found, _END))) is not _END:
                if not isinstance(event, DeviceEvent):
                    raise self._wrong(f"`events` yielded {type(event).__name__}, not a DeviceEvent")
                yield event
        finally:
            if isinstance(found, AsyncGenerator):
                await self._call("events", found.aclose)

    def __getattr__(self, name: str) -> object:
        """Return what else the backend has."""
        return getattr(self.backend, name)

    def __str__(self) -> str:
        return str(self.backend)

    async def _call(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        with as_plugin_error(self._provider, method):
            return await call()

    def _wrong(self, what: str) -> PluginError:
        return PluginError(f"{self._provider.name} failed: {what}", hint=AUTHOR_HINT)


class GuardedReader(GuardedBackend):
    """The same for a backend that can read a few peers."""

    async def read_peers(self, ifname: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
        """Return the states of these peers."""
        reader = cast("PeerReader", self.backend)
        return await self._call("read_peers", lambda: reader.read_peers(ifname, keys))


def guarded_backend(backend: Backend, provider: Provider) -> GuardedBackend:
    """Return the backend, with errors that name its provider."""
    kind = GuardedReader if isinstance(backend, PeerReader) else GuardedBackend
    return kind(backend, provider)
