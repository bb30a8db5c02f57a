"""Rotating the device's key, make before break: peers hold the next key before it is used (docs/rotation.md).

    draw      the next key lies beside the key file, and the state file says that it is ours too
    announce  our record tells of it; peers give it a place on their devices, without allowed IPs
    wait      everybody who follows the bucket has had the time for that
    switch    the key file, the device, the record, in this order; then the agent starts anew with the key

Each step may be repeated, so whoever is killed goes on from what the disk has. The key file decides which key is ours:
before it is switched nothing else is, and after it the rest follows, at the next start at the latest.
"""

import asyncio
import time
from pathlib import Path
from typing import NoReturn

import msgspec
import structlog

from ikto_core.claim.controller import ClaimController
from ikto_core.claim.policy import ClaimAction, decide_claim
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.key_file import draw_next_key, next_key_file, promote_next_key
from ikto_core.errors import BackendError, ConfigError, IktoError, NatsError
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry
from ikto_core.store.follower import longest_check_interval_s
from ikto_core.store.interfaces import RecordStore
from ikto_core.values.keys import PrivateKey, PublicKey

SPARE_S = 5.0
"""For a peer to fetch what its check found, and to write it to its device."""

RETRY_S = 5.0
"""How long to wait with a switch that is not possible just now."""

log = structlog.get_logger(__name__)


def learning_s(keys: int) -> float:
    """Return within how many seconds each of those who follow a bucket with so many keys has what is new in it.

    Pushes take milliseconds; who missed one finds out when it next asks the leader.
    """
    return longest_check_interval_s(keys) + SPARE_S


class KeyRotatedError(Exception):
    """No failure: it ends the tasks of an agent that is to start anew with another key."""


class KeyRotation:
    """Rotates the key once it was told to `begin`, or an earlier run was; `done` when the agent is to start anew.

    Without a key file (`key_path` None) the key was given by a program, and is that program's to replace.
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
        """Go on with what an earlier run has begun. A next key that can't be used is reported, and not used."""
        if self._path is None or not next_key_file(self._path).exists():
            return
        try:
            self._begin(self._path)
        except IktoError as error:
            log.error("the rotation of the key can't go on", error=str(error), hint=error.hint)

    def begin(self) -> PublicKey:
        """Draw the next key, and have our record announce it; return it. One that was begun goes on.

        Raises ConfigError if key or state can't be written, IktoError if we have no place in the mesh yet, or no file.
        """
        if self._path is None:
            hint = "start the agent anew with another key"
            raise IktoError("the key was given by a program, and is in no file that could be rotated", hint=hint)
        if self._controller.record is None and self.next_key is None:
            raise IktoError("no subnet is claimed yet, so there is no record to announce a key in", hint="try later")
        return self._begin(self._path)

    def _begin(self, path: Path) -> PublicKey:
        if self.next_key:
            return self.next_key
        private_key = draw_next_key(path)
        public_key = private_key.public()
        if not self._saved_claim.announce(public_key):
            raise ConfigError(
                "the state file can't be written: the claim would not outlive the key", hint="see the log"
            )
        self.next_key, self._private_key = public_key, private_key
        self._controller.become(self._controller.identity.announcing(public_key))
        self._begun.set()
        log.info("the next key is announced", next_public_key=public_key.text)
        return public_key

    async def ended(self) -> NoReturn:
        """Wait until the agent is to start anew, and then end its tasks, by KeyRotatedError."""
        await self.done.wait()
        raise KeyRotatedError

    async def run(self, store: RecordStore) -> None:
        """Carry a rotation through, for as long as a session with NATS lives: time without one does not count.

        Raises NatsError if the bucket can't be read; nothing is switched then.
        """
        await self._begun.wait()
        await self._wait_for_peers()
        while not self.done.is_set():
            if not await self._switched(store):
                await asyncio.sleep(RETRY_S)

    async def _wait_for_peers(self) -> None:
        self.due_at = None
        await self._controller.announced.wait()
        pause_s = learning_s(len(self._controller.follower.table))
        self.due_at = time.time() + pause_s
        await asyncio.sleep(pause_s)

    async def _switched(self, store: RecordStore) -> bool:
        """Switch, if the leader answers and has our announcement; return whether that was so.

        From device to record there is nothing slow: what we send meanwhile is not accepted by peers. What they send is.
        """
        record, private_key = self._controller.record, self._private_key
        entry = await store.get(record.key) if record else None
        if not (self._path and record and private_key and entry and self._stands(record, entry)):
            return False
        try:
            promote_next_key(self._path)
        except ConfigError as error:
            log.error("the key can't be switched", error=str(error), hint=error.hint, next_try_in_s=RETRY_S)
            return False
        try:
            await self._use(private_key)
            self._controller.become(self._controller.identity.succeeded())
            await self._publish(store, entry)
        finally:
            self.done.set()
        return True

    def _stands(self, record: PeerRecord, entry: Entry) -> bool:
        announced = record.next_public_key == self.next_key
        decision = decide_claim(entry, record, self._controller.identity, newcomer=False)
        return announced and decision.action is ClaimAction.KEEP

    async def _use(self, private_key: PrivateKey) -> None:
        try:
            await self._reconciler.rekey(private_key)
        except BackendError as error:  # the device is repaired after the start that follows
            log.warning("the device has not got its new key yet", error=str(error))

    async def _publish(self, store: RecordStore, entry: Entry) -> None:
        """Write our record with the new key over the announcement; what fails is done after the start that follows."""
        record = self._controller.record
        if record is None:
            return
        value = encode_record(msgspec.structs.replace(record, nonce=record.public_key.text))  # a key comes only once
        try:
            await store.put(record.key, value, expected=entry.revision)
        except NatsError as error:
            log.warning("our record has not got the new key yet", error=str(error))
        log.info("the key was switched", public_key=record.public_key.text)
