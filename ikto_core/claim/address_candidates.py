"""The addresses that this node may claim, best first, and the error when none of them can be had."""

from collections.abc import Iterator
from random import Random

from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.errors import AddressInUseError, IktoError, PluginError
from ikto_core.ipam.addresses import addresses_to_try, device_address
from ikto_core.ipam.contract import IpamRequest, IpamStrategy
from ikto_core.ipam.space import Space
from ikto_core.mesh.view import MeshView
from ikto_core.values.addressing import Prefix


class AddressCandidates:
    """The configured address; or that of an earlier claim, and after it what the IPAM strategy proposes."""

    def __init__(self, node: LocalNode, saved_claim: SavedClaim, strategy: IpamStrategy, random: Random) -> None:
        self._node = node
        self._saved_claim = saved_claim
        self._strategy = strategy
        self._random = random
        self._tried: set[Prefix] = set()

    def addresses(self, view: MeshView) -> Iterator[str]:
        """Yield the addresses to try in the mesh that `view` shows, which may change meanwhile.

        Raises PluginError if the strategy fails, or proposes what is not a subnet of the mesh.
        """
        earlier = self._saved_claim.address or _recorded_address(view)
        self._tried = set()
        for address in addresses_to_try(self._node.address, earlier, self._proposals(view)):
            self._tried.add(self._node.subnet_of(address))
            yield address

    def none_left(self, view: MeshView, refusal: AddressInUseError | None) -> AddressInUseError:
        """Return the error for a node that could claim none of `addresses`; `refusal` is why the first was refused.

        Subnets that were tried in vain count as taken, although the view may not show that yet.
        """
        if refusal and self._node.address:
            return refusal
        space = Space(self._node.mesh, self._node.subnet_prefix, self._taken(view) | self._tried)
        return _nothing_proposed(self._node, space, refusal) if space.free else _mesh_full(self._node, space)

    def _proposals(self, view: MeshView) -> Iterator[Prefix]:
        """Yield the strategy's proposals, without reserved subnets and those taken while others were tried."""
        node = self._node
        never = {Prefix(node.mesh.address, node.subnet_prefix), *node.reserved}
        try:
            for subnet in self._strategy.candidates(self._request(view)):
                if not (node.mesh.covers(subnet) and subnet.length == node.subnet_prefix):
                    wanted = f"a subnet of {node.mesh} of length {node.subnet_prefix}"
                    raise PluginError(f"ipam {node.ipam!r} proposed {subnet}, which is not {wanted}")
                if view.is_free(subnet) and not any(map(subnet.overlaps, never)):
                    yield subnet
        except IktoError:
            raise
        except Exception as error:  # a plugin may raise anything
            raise PluginError(f"ipam {node.ipam!r} failed: {type(error).__name__}: {error}") from error

    def _request(self, view: MeshView) -> IpamRequest:
        return IpamRequest(
            mesh_cidr=self._node.mesh,
            subnet_prefix=self._node.subnet_prefix,
            public_key=view.rules.own_key,
            name=self._node.name,
            taken=self._taken(view),
            random=self._random,
        )

    def _taken(self, view: MeshView) -> frozenset[Prefix]:
        return view.subnets() | self._node.reserved


def _recorded_address(view: MeshView) -> str | None:
    """Return an address in a subnet that the bucket records for this node, although its state file has no claim."""
    regular = (accepted.subnet for accepted in view.own_records.values() if accepted.canonical)
    return next((device_address(subnet) for subnet in regular), None)


def _mesh_full(node: LocalNode, space: Space) -> AddressInUseError:
    wrong = f"the mesh {node.mesh} has no free subnet of length {node.subnet_prefix}"
    if not space.total:
        hint = "use a longer subnet_prefix or a larger mesh_cidr, or configure private_address"
        return AddressInUseError(f"{wrong}: it has room for one, and the first one is never assigned", hint=hint)
    reserved = space.total - Space(node.mesh, node.subnet_prefix, node.reserved).free
    noted = f", {reserved} of them by ipam_reserved" if reserved else ""
    return AddressInUseError(
        f"{wrong}: {space.total} of {space.total} are taken{noted}",
        hint="delete the records of nodes that are gone, "
        + ("reserve less, " if reserved else "")
        + "or build a mesh with a longer subnet_prefix or a larger mesh_cidr",
    )


def _nothing_proposed(node: LocalNode, space: Space, refusal: AddressInUseError | None) -> AddressInUseError:
    """Return the error for a node that got no subnet although some are free."""
    usage = f"{space.total - space.free} of {space.total} subnets of the mesh {node.mesh} are taken"
    if refusal:
        return AddressInUseError(
            f"no subnet that ipam {node.ipam!r} proposed could be claimed (first: {refusal}); {usage}",
            hint="start the agent again if many nodes came at once, or choose another ipam",
        )
    return AddressInUseError(
        f"ipam {node.ipam!r} proposes no free subnet; {usage}",
        hint="choose another ipam, or configure private_address",
    )
