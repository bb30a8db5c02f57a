"""Gives this node's subnet up for good: withdraws its records, and waits until NATS has acknowledged that."""

import asyncio
from collections.abc import Callable, Iterable

from ikto_core.claim.claimant import ATTEMPTS, Claimant
from ikto_core.errors import NatsDeniedError, NatsError
from ikto_core.mesh.proofs import owner_of
from ikto_core.store.interfaces import RecordStore


class Leaving:
    """Whether this node is to give its subnet up, and how far that is.

    Args:
        recheck: Called when the record in the bucket must be looked at again: it is to go, or to stay.

    """

    def __init__(self, recheck: Callable[[], None]) -> None:
        self.requested = False
        self.kv_key = ""  # of the record that was withdrawn; empty: none yet, or there was none
        self.failure: NatsDeniedError | None = None  # why NATS refused it
        self.left = asyncio.Event()  # NATS has acknowledged it
        self.ended = asyncio.Event()  # NATS has acknowledged or refused it
        self._recheck = recheck

    def request(self) -> None:
        """Withdraw this node's records soon, instead of keeping them."""
        self.requested, self.failure = True, None
        self.ended.clear()
        self._recheck()

    def cancel(self) -> None:
        """Keep the record in the bucket, as before `request`."""
        self.requested = False
        self._recheck()

    async def carry_out(self, claimant: Claimant, store: RecordStore, own_key: str, earlier: Iterable[str]) -> bool:
        """Withdraw the record under `own_key` (empty: none) and the earlier ones; return False if NATS refused it.

        Raises NatsError if the bucket can't be read or written.
        """
        try:
            await withdraw_all(claimant, store, filter(None, [own_key, *earlier]))
        except NatsDeniedError as error:
            self.failure = error
        else:
            self.kv_key = own_key or self.kv_key
            self.left.set()
        self.ended.set()
        return self.failure is None


async def withdraw_all(claimant: Claimant, store: RecordStore, keys: Iterable[str]) -> None:
    """Withdraw this node's records under these KV keys; other nodes' records stay.

    Raises NatsDeniedError if this node may not write one of them, and NatsError if the bucket can't be read or written.
    """
    for key in keys:
        await _withdraw(claimant, store, key)


async def _withdraw(claimant: Claimant, store: RecordStore, key: str) -> None:
    for _ in range(ATTEMPTS):
        if await claimant.withdraw(store, key):
            return
        if key in claimant.denied:
            claimant.denied.discard(key)
            hint = "`ikto node remove` removes it with other credentials"
            raise NatsDeniedError(f"NATS denied this node to withdraw its record {key}", hint=hint)
        entry = await store.get(key)
        owner = owner_of(entry.value) if entry and entry.value else None
        if owner is None or not claimant.owns_text(owner[0]):
            return  # another node's, or nobody's: it is not withdrawn
    raise NatsError(f"could not withdraw {key} in {ATTEMPTS} attempts: it is written again and again")
