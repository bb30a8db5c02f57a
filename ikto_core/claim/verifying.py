"""Verifies the proofs of many records in a thread, so that the event loop goes on meanwhile."""

import asyncio
from collections.abc import Mapping

from ikto_core.mesh.proofs import ProofIndex
from ikto_core.mesh.view import Entry
from ikto_core.store.interfaces import Message

FEW = 8
"""So many proofs are verified where they are needed: that takes about a millisecond, as long as a thread to begin."""

AT_ONCE = 256
"""How many are verified before the event loop takes the results, and a cancellation has effect."""


async def verify(proofs: ProofIndex, found: Mapping[str, Message | Entry]) -> None:
    """Verify what a walk has found and `proofs` does not know. A single push is verified where it is applied."""
    values = proofs.unknown((key, message.value) for key, message in found.items())
    if len(values) > FEW:
        for start in range(0, len(values), AT_ONCE):
            proofs.learn(await asyncio.to_thread(proofs.judge_all, values[start : start + AT_ONCE]))
