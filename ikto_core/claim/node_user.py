"""This node's NATS user, by which its records show that the node may write them: its JWT and its signatures."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NoReturn

import structlog

from ikto_core.errors import ConfigError, NatsDeniedError, NotEntitledError
from ikto_core.mesh.records import PeerRecord
from ikto_core.mesh.rights import Authority, issuer_fault, right_message, write_fault
from ikto_core.store.login_files import read_creds
from ikto_core.values.nats_jwt import JwtError
from ikto_core.values.nkeys import public_nkey, sign_nkey
from ikto_core.values.user_jwt import UserJwt, parse_user_jwt

RELOAD_EVERY_S = 60.0
WARN_BEFORE_S = 7 * 86400.0
WARN_EVERY_S = 86400.0
RENEW_HINT = "replace nats_creds by a renewed file; the agent uses it within a minute"
ENTITLE_HINT = "have the account in record_trust issue a JWT that allows to publish on the subject of the node's record"

UNREAD = "nats_creds could not be read"
NO_FILE = "record_trust requires nats_creds with a user JWT"

log = structlog.get_logger(__name__)


class NodeUser:
    """What the creds file says, as of the last `reload`. A JWT that lets anybody log in is never published.

    Args:
        path: The creds file; empty: there is none.
        bucket: The bucket's name.
        authority: Who must have issued the JWT; None: records need no right, and have the JWT all the same.

    """

    def __init__(self, path: str, bucket: str, authority: Authority | None = None) -> None:
        self.jwt = ""  # for the node's records; empty: none
        self.expires_s = 0.0  # seconds since the epoch; 0: never, or there is no JWT
        self.failure = UNREAD if authority else ""  # why the JWT can't be used; empty: it can, or it is not needed
        self._path = path
        self._bucket = bucket
        self._authority = authority
        self._parsed: UserJwt | None = None
        self._seed = ""
        self._warned_at: float | None = None

    def reload(self) -> bool:
        """Read the creds file again; return whether the node's records must have another JWT than before.

        A file that can't be read changes nothing: it may be in the middle of being replaced.
        """
        before = self.jwt
        try:
            self.load()
        except ConfigError as error:  # reported when it is used to log in
            log.info("creds file not read", error=str(error), hint=error.hint)
        return self.jwt != before

    def load(self) -> None:
        """Read the creds file. Raises LoginFileError if it can't be read."""
        if not self._path:
            self.failure = NO_FILE if self._authority else ""
            return
        creds = read_creds(self._path)
        self.expires_s, self._seed = creds.expires_s, creds.seed
        try:
            self._parsed = _published(creds.jwt, creds.seed)
            self.jwt = creds.jwt
            fault = issuer_fault(self._authority, self._parsed) if self._authority else ""
        except JwtError as error:
            self._parsed, self.jwt = None, ""
            fault = str(error) if self._authority else ""
        self.failure = fault and f"the user JWT {fault}"

    @property
    def is_read(self) -> bool:
        """Whether a creds file was read, or there is none: the error of one that can't be read is the login's."""
        return self.failure != UNREAD

    def fault(self, kv_key: str) -> str:
        """Return why the JWT gives no right to a KV key; empty: it gives one, or none is needed."""
        if self.failure or not self._authority or not self._parsed:
            return self.failure
        fault = write_fault(self._parsed, self._bucket, kv_key)
        return fault and f"the user JWT {fault}"

    def problem(self, kv_key: str | None) -> NotEntitledError | None:
        """Return the error for a JWT without the right to a KV key (None: not known yet); None: it has the right."""
        fault = self.failure if kv_key is None else self.fault(kv_key)
        return (
            NotEntitledError(f"other nodes would refuse this node's record: {fault}", hint=ENTITLE_HINT)
            if fault
            else None
        )

    def signature(self, record: PeerRecord) -> bytes:
        """Return the user's signature for a record with its JWT; empty without one.

        Raises NatsDeniedError if the other nodes would refuse the record: the one that they have is better.
        """
        if problem := self.problem(record.key):
            raise NatsDeniedError(str(problem), hint=problem.hint)
        if not record.user_jwt:
            return b""
        return sign_nkey(self._seed, right_message(self._bucket, record.key, record.public_key, record.serial))

    async def watch(self, on_change: Callable[[], None]) -> NoReturn:
        """Reload now and then, until cancelled: call `on_change` after another JWT, and warn before it expires."""
        while True:
            if self.reload():
                on_change()
            self.warn(time.time())
            await asyncio.sleep(RELOAD_EVERY_S)

    def expires_soon(self, now: float) -> bool:
        """Return whether the JWT expires within a week of `now`, seconds since the epoch, or has expired."""
        return 0 < self.expires_s < now + WARN_BEFORE_S

    def warn(self, now: float) -> None:
        """Log once a day that the JWT expires soon."""
        if not self.expires_soon(now):
            self._warned_at = None
        elif self._warned_at is None or abs(now - self._warned_at) >= WARN_EVERY_S:
            self._warned_at = now
            expires = datetime.fromtimestamp(self.expires_s, UTC)
            log.warning("NATS credentials expire soon", expires=f"{expires:%F %T} UTC", hint=RENEW_HINT)


def _published(jwt: str, seed: str) -> UserJwt:
    """Return a JWT that records may have. Raises JwtError with the reason if it may not."""
    parsed = parse_user_jwt(jwt)
    if parsed.bearer:
        raise JwtError("is a bearer token, which is secret")
    if parsed.user_key != public_nkey(seed):
        raise JwtError("is of another user than the seed")
    return parsed
