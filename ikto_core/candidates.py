"""The addresses that a node may claim, best first."""

from collections.abc import Iterator
from random import Random

from ikto_core.addressing import Prefix
from ikto_core.claims import Claims
from ikto_core.config import Config
from ikto_core.ipam.addresses import addresses_to_try, device_address
from ikto_core.ipam.contract import IpamStrategy
from ikto_core.mesh import MeshView
from ikto_core.ourselves import own_request


class Candidates:
    """The configured address; or that of an earlier claim, and after it what the strategy proposes."""

    def __init__(self, config: Config, name: str, claims: Claims, strategy: IpamStrategy, random: Random) -> None:
        self._config = config
        self._name = name
        self._claims = claims
        self._strategy = strategy
        self._random = random

    def addresses(self, view: MeshView) -> Iterator[str]:
        """Yield what to try in the mesh as `view` shows it."""
        configured = None if self._config.subnet is None else self._config.private_address
        return addresses_to_try(configured, self._claims.address or _recorded_address(view), self._proposals(view))

    def _proposals(self, view: MeshView) -> Iterator[Prefix]:
        request = own_request(self._config, self._name, view.rules.own_key, view.subnets(), self._random)
        yield from self._strategy.candidates(request)


def _recorded_address(view: MeshView) -> str | None:
    """Return an address in a subnet that the bucket says is ours, although nothing was kept of it."""
    regular = (accepted.subnet for accepted in view.own_records.values() if accepted.regular)
    return next((device_address(subnet) for subnet in regular), None)
