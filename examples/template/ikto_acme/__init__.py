"""The observer `acme`: keeps a JSON file with the peers of the mesh, for programs that read files."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from ikto_core.plugins import (
    IktoError,
    MeshEvent,
    Observer,
    ObserverContext,
    ObserverPlugin,
    Replay,
    hookimpl,
    replace_file,
)


class Settings(msgspec.Struct, frozen=True):
    """The settings of this plugin: `"plugins": {"acme": {"path": "/run/mesh.json"}}` in Ikto's configuration."""

    path: Annotated[str, Meta(min_length=1, description="The file that is written; its directory must exist.")]


class MeshFile:
    """Writes the whole file once for each call, so that it always shows the mesh as it was at one moment."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mesh = Replay()

    async def see(self, events: Sequence[MeshEvent]) -> None:
        """Apply the events, and write the file. Raises IktoError if that fails; Ikto logs it and tries again later."""
        self._mesh.see(events)
        peers = sorted(self._mesh.peers.values(), key=lambda peer: peer.public_key)
        try:
            # in a thread: the agent's event loop must not wait for a disk
            await asyncio.to_thread(replace_file, self._path, msgspec.json.encode(peers))
        except OSError as error:
            raise IktoError(f"acme can't write {self._path}: {error.strerror}", hint="create its directory") from error


@asynccontextmanager
async def open_acme(context: ObserverContext) -> AsyncGenerator[Observer, None]:
    """Yield the observer. What must be closed again is closed behind the `yield`."""
    settings: Settings = context.settings
    yield MeshFile(Path(settings.path))


@hookimpl
def ikto_register_observers() -> Iterable[ObserverPlugin]:
    """Register the observer `acme`."""
    return [ObserverPlugin(name="acme", summary="the mesh as a JSON file", open=open_acme, settings=Settings)]
