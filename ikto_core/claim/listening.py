"""How long a node that claimed a new address waits before it uses the address."""

import asyncio
import time
from collections.abc import Callable

LONGEST_CLAIM_S = 1.0
LISTEN_S = 0.05
"""A node waits for the time that its claim took (two round trips to NATS, at most LONGEST_CLAIM_S) and this time. By
then the peers that have something to send have read its record and have started their handshakes."""


class Listening:
    """The pause between a claim and the address, in which the node answers peers and sends nothing of its own.

    Two nodes that send first within a round trip discard each other's handshake (docs/first-contact.md).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._claim_began_s = clock()

    def claim_begins(self) -> None:
        """Note that the claim of an address begins now."""
        self._claim_began_s = self._clock()

    async def pause(self) -> None:
        """Wait, once the claim is acknowledged."""
        await asyncio.sleep(min(self._clock() - self._claim_began_s, LONGEST_CLAIM_S) + LISTEN_S)
