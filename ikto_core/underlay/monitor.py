"""What the network around this host says of how peers reach us, as far as the configuration does not."""

import structlog

from ikto_core.config import Config
from ikto_core.errors import ConfigError, NatsError
from ikto_core.underlay.paths import advertise_address, fitting_mtu

log = structlog.get_logger(__name__)


class UnderlayMonitor:
    """Looks around whenever there is a session with NATS."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._found = ""  # where peers reach this host; empty: not found yet

    async def address(self, server: str, *, patient: bool) -> str:
        """Return the address to advertise; the last one found stays good when none can be found any more.

        Args:
            server: The URL of the NATS server that we have a session with.
            patient: Whether that there is none may pass, as at boot, when routes come later than we do.

        Raises:
            NatsError: No address was found, and we are patient.
            ConfigError: None was found, and we are not.

        """
        if self._config.advertised:
            return self._config.advertised
        try:
            self._found = await advertise_address(server, self._config.mesh, self._config.wg_dev_name)
        except ConfigError as error:
            if not self._found and patient:
                raise NatsError(str(error), hint=error.hint) from None
            if not self._found:
                raise
            log.warning("still advertising the last address", advertise_address=self._found, because=str(error))
        return self._found

    async def mtu(self, server: str) -> int | None:
        """Return what fits the way to peers, in bytes; None: there is no way at present."""
        return await fitting_mtu(server, self._config.mesh, self._config.wg_dev_name)
