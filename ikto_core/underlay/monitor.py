"""Finds the address to advertise, unless the configuration sets one, and the MTU that the underlay allows."""

import structlog

from ikto_core.errors import ConfigError, NatsError
from ikto_core.underlay.paths import advertise_address, fitting_mtu
from ikto_core.values.addressing import Prefix

log = structlog.get_logger(__name__)


class UnderlayMonitor:
    """Reads the underlay paths for each new session with NATS.

    Args:
        advertised: The configured address to advertise; None: find it.
        mesh: The mesh's network; no address inside it is advertised.
        ifname: The WireGuard device's name.

    """

    def __init__(self, advertised: str | None, mesh: Prefix, ifname: str) -> None:
        self._advertised = advertised
        self._mesh = mesh
        self._ifname = ifname
        self._found = ""  # the last address found; empty: none yet

    async def address(self, server: str, *, keep_trying: bool) -> str:
        """Return the address to advertise. If none is found now, the last one found is returned.

        Args:
            server: The URL of the NATS server of the present session.
            keep_trying: Whether a missing address is a temporary failure, as at boot, when routes may come later.

        Raises:
            NatsError: No address was found, and `keep_trying` is set: the connection is retried.
            ConfigError: No address was found, and `keep_trying` is not set.

        """
        if self._advertised:
            return self._advertised
        try:
            self._found = await advertise_address(server, self._mesh, self._ifname)
        except ConfigError as error:
            if not self._found and keep_trying:
                raise NatsError(str(error), hint=error.hint) from None
            if not self._found:
                raise
            log.warning("no address found, advertising the last one", advertise_address=self._found, error=str(error))
        return self._found

    async def mtu(self, server: str) -> int | None:
        """Return the device MTU that the path to the peers allows, in bytes; None: there is no such path at present."""
        return await fitting_mtu(server, self._mesh, self._ifname)
