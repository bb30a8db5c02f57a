"""Distributes mesh changes from the agent to any number of readers. A slow reader blocks neither agent nor readers."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ikto_core.errors import IktoError
from ikto_core.mesh.view import MeshView
from ikto_core.observers.contract import MeshEvent, MeshReady
from ikto_core.observers.event_diff import EventDiff, MeshContents
from ikto_core.values.keys import PublicKey


class EventHub:
    """The current mesh, and the readers to notify of changes.

    It outlives the agents of one run, which differ in their keys: a reader receives only what differs from the view of
    the agent before.
    """

    def __init__(self) -> None:
        self.ready: MeshReady | None = None  # None: the device does not show the mesh from this node's subnet
        self._view: MeshView | None = None  # None: the mesh is not known yet
        self._readers: set[Reader] = set()
        self._is_ready = asyncio.Event()
        self._closed = False

    # -- called by the agent ---------------------------------------------------------------------------------------

    def set_view(self, view: MeshView) -> None:
        """Set the current view. It may change in place; report each such change with `mark_changed`."""
        self._view = view
        if self.ready and self.ready.subnet != str(view.rules.own_subnet):
            self.ready = None
            self._is_ready.clear()
        for reader in self._readers:
            reader.event_diff.invalidate()
            reader.wake.set()

    def mark_changed(self, peers: Iterable[PublicKey], records: Iterable[str]) -> None:
        """Report peers that may be new, changed or gone, and KV keys whose quarantine may have changed."""
        if contents := self.contents:
            for reader in self._readers:
                reader.event_diff.touch(peers, records, contents)
                reader.wake.set()

    def set_ready(self, ready: MeshReady) -> None:
        """Report that the device shows the mesh. Only the first call for a subnet has an effect."""
        if self.ready is None and self._view:
            self.ready = ready
            self._is_ready.set()
            for reader in self._readers:
                reader.wake.set()

    def close(self) -> None:
        """End every reader and every wait."""
        self._closed = True
        self._is_ready.set()
        for reader in self._readers:
            reader.wake.set()

    # -- called by readers -----------------------------------------------------------------------------------------

    @property
    def contents(self) -> MeshContents | None:
        """The current state; None: the mesh is not known yet."""
        return MeshContents(self._view.peers, self._view.quarantined, self.ready) if self._view else None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    async def until_ready(self) -> MeshReady:
        """Wait until the device shows the mesh from this node's subnet. Raises IktoError once the hub is closed."""
        while not self._closed:
            if self.ready:
                return self.ready
            await self._is_ready.wait()
        raise IktoError("the agent has ended")

    @contextmanager
    def reader(self) -> "Iterator[Reader]":
        """Yield a new reader, which receives the complete state first; it is removed when the block ends."""
        reader = Reader(self)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)


class Reader:
    """Async iterator over the events since the last step, by clauses O1 to O4 of the contract; ends with the hub."""

    def __init__(self, hub: EventHub) -> None:
        self.event_diff = EventDiff()
        self.wake = asyncio.Event()
        self.wake.set()
        self._hub = hub

    @property
    def waiting(self) -> int:
        """An upper bound of the peers and records with an event to deliver."""
        contents = self._hub.contents
        return self.event_diff.waiting(contents) if contents else 0

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> tuple[MeshEvent, ...]:
        """Wait for at least one event."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            if self._hub.closed:
                raise StopAsyncIteration
            if (contents := self._hub.contents) and (events := self.event_diff.take(contents)):
                return events
