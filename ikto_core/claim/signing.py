"""Signs this node's records: each with the private key that it names, and with a serial that only grows."""

import time
from collections.abc import Callable
from random import Random

import msgspec

from ikto_core.claim.node_user import NodeUser
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.mesh.proofs import signed_value
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.successions import succession
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.signatures import NONCE_BYTES


class RecordSigner:
    """Makes the values that this node writes into the bucket.

    Args:
        private_key: The device's key.
        bucket: The bucket's name.
        saved_claim: Keeps the last serial and the statements of former keys.
        random: For nonces; in an agent it must be unpredictable.
        clock_ms: Milliseconds since the epoch. A node that has lost its state file still writes a later serial.
        user: Shows this node's right to its record; None: it has no creds file.

    """

    def __init__(
        self,
        private_key: PrivateKey,
        bucket: str,
        saved_claim: SavedClaim,
        random: Random,
        clock_ms: Callable[[], int] = lambda: int(time.time() * 1000),
        *,
        user: NodeUser | None = None,
    ) -> None:
        self.public_key = private_key.public()
        self._keys = {self.public_key: private_key}
        self._bucket = bucket
        self._saved_claim = saved_claim
        self._random = random
        self._clock_ms = clock_ms
        self._user = user

    def add_key(self, private_key: PrivateKey) -> None:
        """Sign records that name this key, too: the next one of a rotation."""
        self._keys[private_key.public()] = private_key

    def draw_nonce(self) -> str:
        """Return a new random text for the nonce of a record."""
        return f"{self._random.getrandbits(64):016x}"

    def value(self, record: PeerRecord, after: int = 0) -> bytes:
        """Return the value to write for a record of this node; its serial is greater than `after`, and saved.

        Raises NatsDeniedError if other nodes would refuse the record because this node has no right to it.
        """
        serial = self._saved_claim.next_serial(max(after + 1, self._clock_ms()))
        statements = self._saved_claim.successions(record.key)
        jwt = self._user.jwt if self._user else ""
        record = msgspec.structs.replace(record, serial=serial, successions=statements, user_jwt=jwt)
        signature = self._user.signature(record) if self._user else b""
        return signed_value(record, self._keys[record.public_key], self._bucket, self._nonce(), signature)

    def save_succession(self, next_key: PublicKey, kv_key: str) -> None:
        """Save the statement that this node's present key names the next one under a KV key."""
        private_key = self._keys[self.public_key]
        self._saved_claim.add_succession(kv_key, succession(private_key, next_key, self._bucket, kv_key, self._nonce()))

    def _nonce(self) -> bytes:
        return self._random.randbytes(NONCE_BYTES)
