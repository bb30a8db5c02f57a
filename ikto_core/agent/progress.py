"""How far an agent has come, for those who wait for it."""

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
    """Our record stands in the bucket."""

    subnet: Prefix
    since: float  # seconds since the epoch


class AgentProgress:
    """How far an agent has come, over all its keys."""

    def __init__(self) -> None:
        self.event_hub = EventHub()
        self.report: Report | None = None  # of the present agent; None: none has begun yet
        self.claim: HeldClaim | None = None  # None: no claim of the present agent stands
        self._over = False
        self._moved = asyncio.Event()

    def agent_started(self, report: Report) -> None:
        """Note that an agent begins, of which this tells: the first, or one with another key."""
        self.report, self.claim = report, None
        self._moves()

    def claim_changed(self, key: str) -> None:
        """Note that our record stands under this KV key; empty: nowhere."""
        self.claim = HeldClaim(Prefix.parse(allowed_ip_of_key(key)), time.time()) if key else None
        self._moves()

    def agent_ended(self) -> None:
        """Note that the agent has ended."""
        self._over = True
        self.event_hub.close()
        self._moves()

    async def until(self, look: Callable[[], T | None]) -> T:
        """Return what `look` returns as soon as that is something; IktoError once the agent has ended."""
        while not self._over:
            if (found := look()) is not None:
                return found
            await self._moved.wait()
        raise IktoError("the agent has ended")

    def _moves(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
