"""Rotates the device's key, make before break: peers know the next key before it is used (docs/rotation.md).

    draw      the next key is written beside the key file, and the state file lists it as this node's
    announce  this node's record names it; peers without NATS add it to their devices, without allowed IPs
    wait      until every node that follows the bucket has had time for that
    switch    the key file, the device, the record, in this order; then the agent starts again with the key

Each step may be repeated, so an agent that is killed continues from what is on disk. The key file decides which key is
used: before it is replaced nothing else changes, and afterwards the rest follows, at the next start at the latest.
"""

import asyncio
import time
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from ikto_core.claim.controller import ClaimController
from ikto_core.claim.policy import ClaimAction, ClaimContext, decide_claim
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.key_file import ensure_next_key, next_key_file, promote_next_key
from ikto_core.errors import BackendError, ConfigError, IktoError, NatsError
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.view import Entry
from ikto_core.store.check_pace import longest_check_interval_s
from ikto_core.store.interfaces import RecordStore
from ikto_core.values.keys import PrivateKey, PublicKey

SPARE_S = 5.0
"""Time for a peer to fetch what its check found, and to write it to its device."""

RETRY_S = 5.0
"""How long to wait before a failed switch is tried again."""

log = structlog.get_logger(__name__)


def learning_s(keys: int) -> float:
    """Return after how many seconds every follower of a bucket with so many keys has seen a change.

    Pushes take milliseconds; a node that missed one finds out when it next asks the leader.
    """
    return longest_check_interval_s(keys) + SPARE_S


class KeyRotatedError(Exception):
    """Not a failure: it ends the tasks of an agent that must start again with another key."""


class KeyRotation:
    """Rotates the key after `begin`, of this run or an earlier one; `done` is set when the agent must start again.

    Without a key file (`key_path` None) the key was given by a program, which must replace it itself.
    """

    def __init__(
        self, key_path: Path | None, controller: ClaimController, reconciler: Reconciler, saved_claim: SavedClaim
    ) -> None:
        self.next_key: PublicKey | None = None  # None: no rotation is under way
        self.due_at: float | None = None  # when the key will be switched, seconds since the epoch; None: not known yet
        self.done = asyncio.Event()
        self._path = key_path
        self._controller = controller
        self._reconciler = reconciler
        self._saved_claim = saved_claim
        self._private_key: PrivateKey | None = None
        self._begun = asyncio.Event()

    def resume(self) -> None:
        """Continue a rotation that an earlier run has begun. A next key that can't be read is logged and not used."""
        if self._path is None or not next_key_file(self._path).exists():
            return
        try:
            self._begin(self._path)
        except IktoError as error:
            log.error("key rotation not resumed", error=str(error), hint=error.hint)

    def begin(self) -> PublicKey:
        """Draw the next key and announce it in this node's record; return it, or the one of a rotation under way.

        Raises ConfigError if key or state can't be written, IktoError if no subnet is claimed yet or there is no file.
        """
        if self._path is None:
            hint = "start the agent again with another key"
            raise IktoError("the key was given by a program: there is no key file to rotate", hint=hint)
        if self._controller.record is None and self.next_key is None:
            raise IktoError(
                "no subnet is claimed yet, so there is no record to announce a key in", hint="try again later"
            )
        return self._begin(self._path)

    def _begin(self, path: Path) -> PublicKey:
        if self.next_key:
            return self.next_key
        private_key = ensure_next_key(path)
        public_key = private_key.public()
        if not self._saved_claim.add_next_key(public_key):
            raise ConfigError(
                "the state file can't be written, and the claim would be lost with the key", hint="see the log"
            )
        self.next_key, self._private_key = public_key, private_key
        self._controller.signer.add_key(private_key)
        self._controller.set_identity(self._controller.identity.announcing(public_key))
        self._begun.set()
        log.info("announcing the next key", next_public_key=public_key.text)
        return public_key

    async def ended(self) -> NoReturn:
        """Wait until the agent must start again, then raise KeyRotatedError to end its tasks."""
        await self.done.wait()
        raise KeyRotatedError

    async def run(self, store: RecordStore) -> None:
        """Carry out a rotation while a session with NATS lives: time without one does not count.

        Raises NatsError if the bucket can't be read; the key is not switched then.
        """
        await self._begun.wait()
        await self._wait_for_peers()
        while not self.done.is_set():
            if not await self._switched(store):
                await asyncio.sleep(RETRY_S)

    async def _wait_for_peers(self) -> None:
        self.due_at = None
        await self._controller.next_key_announced.wait()
        pause_s = learning_s(len(self._controller.follower.table))
        self.due_at = time.time() + pause_s
        await asyncio.sleep(pause_s)

    async def _switched(self, store: RecordStore) -> bool:
        """Switch the key if the leader has the announcement; return whether it was switched.

        Nothing slow may happen between device and record: what this node sends waits until peers have read the record.
        """
        record, private_key = self._controller.record, self._private_key
        entry = await store.get(record.key) if record else None
        if not (self._path and record and private_key and entry and self._is_announced(record, entry)):
            return False
        self._controller.signer.save_succession(private_key.public(), record.key)
        try:
            promote_next_key(self._path)
        except ConfigError as error:
            log.error("key not switched", error=str(error), hint=error.hint, next_try_in_s=RETRY_S)
            return False
        try:
            await self._use(private_key)
            self._controller.set_identity(self._controller.identity.succeeded())
            await self._publish(store, entry)
        finally:
            self.done.set()
        return True

    def _is_announced(self, record: PeerRecord, entry: Entry) -> bool:
        announced = record.next_public_key == self.next_key
        decision = decide_claim(entry, record, self._controller.identity, ClaimContext())
        return announced and decision.action is ClaimAction.KEEP

    async def _use(self, private_key: PrivateKey) -> None:
        try:
            await self._reconciler.set_private_key(private_key)
        except BackendError as error:  # the next start repairs the device
            log.warning("new key not on the device yet", error=str(error), hint=error.hint)

    async def _publish(self, store: RecordStore, entry: Entry) -> None:
        """Write this node's record with the new key; after a failure the next start writes it."""
        record = self._controller.record
        if record is None:
            return
        named = msgspec.structs.replace(record, nonce=record.public_key.text)  # a key is used only once
        value = self._controller.signer.value(named)
        try:
            await store.put(record.key, value, expected=entry.revision)
        except NatsError as error:
            log.warning("new key not in the record yet", error=str(error), hint=error.hint)
        log.info("switched to the new key", public_key=record.public_key.text)
