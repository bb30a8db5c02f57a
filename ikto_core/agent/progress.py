"""How far an agent has come, for a program that waits for it."""

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from ikto_core.agent.report import Report
from ikto_core.errors import IktoError
from ikto_core.mesh.records import allowed_ip_of_key
from ikto_core.observers.event_hub import EventHub
from ikto_core.values.addressing import Prefix

T = TypeVar("T")


class HeldClaim(NamedTuple):
    """The bucket has this node's record."""

    subnet: Prefix
    since: float  # seconds since the epoch


class AgentProgress:
    """The progress of one run of an agent, over key rotations."""

    def __init__(self) -> None:
        self.event_hub = EventHub()
        self.report: Report | None = None  # of the present agent; None: none has started yet
        self.claim: HeldClaim | None = None  # None: the present agent holds no claim
        self._ended = False
        self._changed = asyncio.Event()

    def agent_started(self, report: Report) -> None:
        """Note that an agent has started: the first one, or the one after a rotation."""
        self.report, self.claim = report, None
        self._notify()

    def claim_changed(self, key: str) -> None:
        """Note that this node's record is under this KV key; "": the claim is released."""
        self.claim = HeldClaim(Prefix.parse(allowed_ip_of_key(key)), time.time()) if key else None
        self._notify()

    def agent_ended(self) -> None:
        """Note that the run has ended."""
        self._ended = True
        self.event_hub.close()
        self._notify()

    async def until(self, look: Callable[[], T | None]) -> T:
        """Return what `look` returns once that is not None; raise IktoError when the run has ended."""
        while not self._ended:
            if (found := look()) is not None:
                return found
            await self._changed.wait()
        raise IktoError("the agent has ended")

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
