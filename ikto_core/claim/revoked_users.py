"""The users that the account in record_trust has revoked, from a file with its JWT."""

import asyncio
from collections.abc import Callable, Mapping
from typing import NoReturn

import structlog

from ikto_core.errors import ConfigError
from ikto_core.store.login_files import read_login_file
from ikto_core.values.account_jwt import parse_revocations
from ikto_core.values.nats_jwt import JwtError

RELOAD_EVERY_S = 60.0

log = structlog.get_logger(__name__)


class RevokedUsers:
    """Reads the file again and again.

    Args:
        path: The file, as `nsc describe account --raw` writes it.
        account: The account (A…) in record_trust.
        on_change: Receives the revocations, as `Right.fault` takes them, whenever they may have changed.

    """

    def __init__(self, path: str, account: str, on_change: Callable[[Mapping[str, float]], None]) -> None:
        self._path = path
        self._account = account
        self._on_change = on_change
        self._failure = ""

    def read(self) -> None:
        """Read the file. Raises ConfigError if it can't be used."""
        text = read_login_file(self._path, "nats_account_jwt").decode("ascii", "replace").strip()
        try:
            self._on_change(parse_revocations(text, self._account))
        except JwtError as error:
            hint = "write it with: nsc describe account --raw"
            raise ConfigError(f"nats_account_jwt: {self._path}: the JWT {error}", hint=hint) from None

    async def watch(self) -> NoReturn:
        """Read the file now and then, until cancelled. While it can't be used, what was read before counts."""
        while True:
            await asyncio.sleep(RELOAD_EVERY_S)
            failure = ""
            try:
                self.read()
            except ConfigError as error:
                failure = str(error)
                if failure != self._failure:
                    log.error("revocations not read", error=failure, hint=error.hint)
            self._failure = failure
