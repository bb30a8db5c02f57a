"""Where the agent says what happened, and readers wait for what is new to them. Nothing waits for a reader."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from ikto_core.errors import IktoError
from ikto_core.mesh.view import MeshView
from ikto_core.observers.contract import MeshEvent, MeshReady
from ikto_core.observers.event_diff import EventDiff, MeshContents
from ikto_core.values.keys import PublicKey


class EventHub:
    """The mesh as far as it is known for certain, and who is to be told of it.

    It outlives the agents of one run, which differ in their keys: what the next one sees alike is not told again.
    """

    def __init__(self) -> None:
        self.ready: MeshReady | None = None  # None: the device does not show the mesh from a subnet of ours
        self._view: MeshView | None = None  # None: nothing is known for certain yet
        self._readers: set[Reader] = set()
        self._is_ready = asyncio.Event()
        self._closed = False

    # -- what the agent says ---------------------------------------------------------------------------------------

    def set_view(self, view: MeshView) -> None:
        """Say that this is the mesh from now on; it may change in place, if `changed` says so."""
        self._view = view
        if self.ready and self.ready.subnet != str(view.rules.own_subnet):
            self.ready = None
            self._is_ready.clear()
        for reader in self._readers:
            reader.event_diff.invalidate()
            reader.wake.set()

    def changed(self, peers: Iterable[PublicKey], records: Iterable[str]) -> None:
        """Say that these peers may be new, changed or gone, and what lies under these KV keys be quarantined or not."""
        if contents := self.contents:
            for reader in self._readers:
                reader.event_diff.touch(peers, records, contents)
                reader.wake.set()

    def set_ready(self, ready: MeshReady) -> None:
        """Say that the device shows the mesh; what it shows later on need not be said."""
        if self.ready is None and self._view:
            self.ready = ready
            self._is_ready.set()
            for reader in self._readers:
                reader.wake.set()

    def close(self) -> None:
        """End every reader: nothing will be new any more."""
        self._closed = True
        self._is_ready.set()
        for reader in self._readers:
            reader.wake.set()

    # -- what readers ask ------------------------------------------------------------------------------------------

    @property
    def contents(self) -> MeshContents | None:
        """All there is to tell at this moment; None: nothing is known for certain yet."""
        return MeshContents(self._view.peers, self._view.quarantined, self.ready) if self._view else None

    @property
    def closed(self) -> bool:
        """Whether nothing will be new any more."""
        return self._closed

    async def until_ready(self) -> MeshReady:
        """Wait until the device shows the mesh from a subnet of ours; IktoError once the hub is closed."""
        while not self._closed:
            if self.ready:
                return self.ready
            await self._is_ready.wait()
        raise IktoError("the agent has ended")

    @contextmanager
    def reader(self) -> "Iterator[Reader]":
        """Yield somebody who is told everything from the beginning, for as long as the block lasts."""
        reader = Reader(self)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)


class Reader:
    """Iterates over what is new since the last time, in the way of the contract's O1 to O4; ends with the hub."""

    def __init__(self, hub: EventHub) -> None:
        self.event_diff = EventDiff()
        self.wake = asyncio.Event()
        self.wake.set()
        self._hub = hub

    @property
    def waiting(self) -> int:
        """How many peers and records wait to be told of, at most."""
        contents = self._hub.contents
        return self.event_diff.waiting(contents) if contents else 0

    def __aiter__(self) -> "Reader":
        return self

    async def __anext__(self) -> tuple[MeshEvent, ...]:
        """Wait for what is new."""
        while True:
            await self.wake.wait()
            self.wake.clear()
            if self._hub.closed:
                raise StopAsyncIteration
            if (contents := self._hub.contents) and (events := self.event_diff.take(contents)):
                return events
