"""Makes the claim and the device of an agent from its options."""

from ikto_core.agent.former_devices import former_devices
from ikto_core.agent.options import AgentOptions
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.local_node import LocalNode
from ikto_core.claim.revoked_users import RevokedUsers
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.signing import RecordSigner
from ikto_core.device.bounded_backend import BoundedBackend
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.ownership import DeviceOwner
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.mesh.pins import HOLD_S
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.removal_brake import BrakeLimits


def make_reconciler(
    options: AgentOptions,
    backend: BoundedBackend,
    own_key: PublicKey,
    *,
    saved_claim: SavedClaim,
    underlay: UnderlayMonitor,
    limits: BrakeLimits,
) -> Reconciler:
    """Return the reconciler of the device, which has no target yet."""
    config = options.config
    endpoints = EndpointTracker(
        persistent_keepalive=config.persistent_keepalive, has_route=underlay.reaches, mesh=config.mesh
    )
    owner = DeviceOwner(
        keys=saved_claim.device_keys,
        adopt=config.adopt_device,
        former=former_devices(config, saved_claim.device, saved_claim.device_keys),
        on_use=lambda: saved_claim.save_device(config.netns),
    )
    return Reconciler(backend, config.wg_dev_name, endpoints=endpoints, limits=limits, own_key=own_key, owner=owner)


def make_desired_state(
    options: AgentOptions,
    private_key: PrivateKey,
    *,
    node: LocalNode,
    reconciler: Reconciler,
    snapshot_writer: SnapshotWriter,
    limits: BrakeLimits,
) -> DesiredState:
    """Return the view of the mesh, which is empty."""
    return DesiredState(
        node,
        private_key,
        reconciler,
        snapshot_writer.request_write,
        options.event_hub,
        hold_deleted_s=0 if options.config.removal_limit == 100 else HOLD_S,
        limits=limits,
    )


def make_controller(
    options: AgentOptions,
    private_key: PrivateKey,
    *,
    node: LocalNode,
    saved_claim: SavedClaim,
    desired_state: DesiredState,
) -> ClaimController:
    """Return what keeps this node's record in the bucket."""
    return ClaimController(
        node,
        signer=RecordSigner(private_key, node.bucket, saved_claim, options.random, user=node.user),
        desired_state=desired_state,
        saved_claim=saved_claim,
        candidates=AddressCandidates(node, saved_claim, options.ipam.make(), options.random),
        random=options.random,
        on_claim_change=options.on_claim_change,
    )


def make_revoked_users(options: AgentOptions, node: LocalNode, desired_state: DesiredState) -> RevokedUsers | None:
    """Return what reads the revocations of the account; None: they are not configured."""
    path = options.config.nats_account_jwt
    return RevokedUsers(path, node.authority.account, desired_state.revoke) if path and node.authority else None
