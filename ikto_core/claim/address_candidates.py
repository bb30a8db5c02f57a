"""The addresses that a node may claim, best first, and what to say when none can be had."""

from collections.abc import Iterator
from random import Random

from ikto_core.claim.local_node import own_request, own_subnet
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.config import Config
from ikto_core.errors import AddressInUseError, IktoError, PluginError
from ikto_core.ipam.addresses import addresses_to_try, device_address
from ikto_core.ipam.contract import IpamRequest, IpamStrategy
from ikto_core.ipam.space import Space
from ikto_core.mesh.view import MeshView
from ikto_core.values.addressing import Prefix


class AddressCandidates:
    """The configured address; or that of an earlier claim, and after it what the strategy proposes."""

    def __init__(
        self, config: Config, name: str, saved_claim: SavedClaim, strategy: IpamStrategy, random: Random
    ) -> None:
        self._config = config
        self._name = name
        self._saved_claim = saved_claim
        self._strategy = strategy
        self._random = random
        self._tried: set[Prefix] = set()

    def addresses(self, view: MeshView) -> Iterator[str]:
        """Yield what to try in the mesh as `view` shows it, also while it changes.

        Raises PluginError if the strategy fails, or proposes what is no subnet of the mesh.
        """
        configured = None if self._config.subnet is None else self._config.private_address
        kept = self._saved_claim.address or _recorded_address(view)
        self._tried = set()
        for address in addresses_to_try(configured, kept, self._proposals(view)):
            self._tried.add(own_subnet(self._config, address))
            yield address

    def none_left(self, view: MeshView, refusal: AddressInUseError | None) -> AddressInUseError:
        """Return the error of who could claim none of `addresses`; `refusal` is why the first can't be had.

        What was tried in vain counts as taken, although the view may not show it yet.
        """
        if refusal and self._config.subnet:
            return refusal
        space = Space(self._config.mesh, self._config.subnet_prefix, self._taken(view) | self._tried)
        return _nothing_proposed(self._config, space, refusal) if space.free else _full(self._config, space)

    def _proposals(self, view: MeshView) -> Iterator[Prefix]:
        """Yield what the strategy proposes, but for what is nobody's, and what was taken while others were tried."""
        nobodys = {Prefix(self._config.mesh.address, self._config.subnet_prefix), *self._config.reserved}
        name, mesh, length = self._config.ipam, self._config.mesh, self._config.subnet_prefix
        try:
            for subnet in self._strategy.candidates(self._request(view)):
                if not (mesh.covers(subnet) and subnet.length == length):
                    raise PluginError(
                        f"ipam {name!r} proposed {subnet}, which is no subnet of {mesh} of length {length}"
                    )
                if view.is_free(subnet) and not any(map(subnet.overlaps, nobodys)):
                    yield subnet
        except IktoError:
            raise
        except Exception as error:  # a plugin may raise anything
            raise PluginError(f"ipam {name!r} failed: {type(error).__name__}: {error}") from error

    def _request(self, view: MeshView) -> IpamRequest:
        return own_request(self._config, self._name, view.rules.own_key, self._taken(view), self._random)

    def _taken(self, view: MeshView) -> frozenset[Prefix]:
        return view.subnets() | self._config.reserved


def _recorded_address(view: MeshView) -> str | None:
    """Return an address in a subnet that the bucket says is ours, although nothing was kept of it."""
    regular = (accepted.subnet for accepted in view.own_records.values() if accepted.regular)
    return next((device_address(subnet) for subnet in regular), None)


def _full(config: Config, space: Space) -> AddressInUseError:
    """Return the error of a mesh without a free subnet."""
    wrong = f"the mesh {config.mesh_cidr} has no subnet of length {config.subnet_prefix} left"
    if not space.total:
        hint = "use a longer subnet_prefix or a larger mesh_cidr, or configure private_address"
        return AddressInUseError(f"{wrong}: it is no larger than one, and its first one is never given", hint=hint)
    reserved = space.total - Space(config.mesh, config.subnet_prefix, config.reserved).free
    noted = f", {reserved} of them by ipam_reserved" if reserved else ""
    return AddressInUseError(
        f"{wrong}: {space.total} of {space.total} are taken{noted}",
        hint="delete the records of nodes that are gone, "
        + ("reserve less, " if reserved else "")
        + "or build a mesh with a longer subnet_prefix or a larger mesh_cidr",
    )


def _nothing_proposed(config: Config, space: Space, refusal: AddressInUseError | None) -> AddressInUseError:
    """Return the error of who got nothing although there is something."""
    state = f"{space.total - space.free} of {space.total} subnets of the mesh {config.mesh_cidr} are taken"
    if refusal:
        return AddressInUseError(
            f"nothing that ipam {config.ipam!r} proposed could be had, {refusal} to begin with; {state}",
            hint="start the agent again if many nodes came at once, or choose another ipam",
        )
    return AddressInUseError(
        f"ipam {config.ipam!r} proposes none that is free; {state}",
        hint="choose another ipam, or configure private_address",
    )
