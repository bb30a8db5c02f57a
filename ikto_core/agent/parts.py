"""The parts of an agent, made for one key and connected to each other. Starts no task."""

import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import structlog

from ikto_core import __version__
from ikto_core.agent.departure import Departure
from ikto_core.agent.former_devices import former_devices
from ikto_core.agent.from_config import local_node, nats_settings
from ikto_core.agent.health import NodeHealth
from ikto_core.agent.inquiry import Inquiry
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.other_side import ask_other_side
from ikto_core.agent.report import Report
from ikto_core.claim.address_candidates import AddressCandidates
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.claim.revoked_users import RevokedUsers
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.claim.signing import RecordSigner
from ikto_core.device.bounded_backend import BoundedBackend
from ikto_core.device.endpoint_tracker import EndpointTracker
from ikto_core.device.model import DeviceSpec
from ikto_core.device.ownership import DeviceOwner
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.disk.state_file import StateFile
from ikto_core.errors import BackendError, ForeignDeviceError
from ikto_core.fleet.peer_word import PeerQuestions
from ikto_core.fleet.responder import Responder
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.mesh.pins import HOLD_S
from ikto_core.observers.event_diff import mesh_ready
from ikto_core.observers.health import Health, HealthDiff, Unreachable
from ikto_core.store.connection import Connection
from ikto_core.store.inside_mesh import INSIDE_HINT, inside_warning, will_be_cut_off
from ikto_core.store.session import Session
from ikto_core.underlay.handshake_probe import Prober
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.underlay.paths import Underlay
from ikto_core.underlay.routes import has_address
from ikto_core.values.keys import PrivateKey, PublicKey
from ikto_core.values.removal_brake import BrakeLimits
from ikto_core.values.text import printable

log = structlog.get_logger(__name__)


class AgentParts:
    """What an agent runs, and the callbacks between these parts.

    `state_dir`: where its state is kept instead of in the configured directory.
    """

    def __init__(
        self, options: AgentOptions, private_key: PrivateKey, backend: BoundedBackend, state_dir: Path | None = None
    ) -> None:
        config, random = options.live.config or options.config, options.random
        self._options = options
        self.node = local_node(config)
        self._limits = BrakeLimits(share=config.removal_limit / 100)
        self.underlay = UnderlayMonitor(config.advertised, config.mesh, config.wg_dev_name, fwmark=config.fwmark)
        self.prober = Prober(lambda: self.reconciler.private_address, config.netns)
        self.snapshot_writer = SnapshotWriter(SnapshotFile(state_dir or config.state_path()))
        self._state_file = StateFile(state_dir or config.state_path())
        self.saved_claim = SavedClaim(self.node, private_key.public(), self._state_file)
        self.reconciler = self._make_reconciler(backend, private_key.public())
        self.desired_state = DesiredState(
            self.node,
            private_key,
            self.reconciler,
            self.snapshot_writer.request_write,
            options.event_hub,
            hold_deleted_s=0 if config.removal_limit == 100 else HOLD_S,
            limits=self._limits,
        )
        path, authority = config.nats_account_jwt, self.node.authority
        self.revoked_users = (
            RevokedUsers(path, authority.account, self.desired_state.revoke) if path and authority else None
        )
        self.controller = self._make_controller(private_key)
        self.rotation = KeyRotation(options.key_path, self.controller, self.reconciler, self.saved_claim)
        self.leases = LeaseRenewer(self.node.lease_s, lambda: self.controller.record, self.controller.follower, random)
        settings = nats_settings(config, self.node.name)
        self.connection = Connection(settings, random, keep_trying=lambda: self.controller.has_saved_claim)
        self.departure = Departure(self.controller, self.reconciler, self.saved_claim, lambda: self.connection.failure)
        self.questions = PeerQuestions(self.node.bucket, lambda: self.desired_state.view)
        self.report = self._make_report(backend)
        self.responder = self._make_responder(private_key) if config.mesh_answers else None
        self._health = HealthDiff()
        self._connect()

    def _make_responder(self, private_key: PrivateKey) -> Responder:
        health = NodeHealth(self.report, self.controller, self.desired_state, self.reconciler)
        return Responder(self.node.bucket, private_key, health, self._options.random)

    def _make_reconciler(self, backend: BoundedBackend, own_key: PublicKey) -> Reconciler:
        config = self._options.config
        endpoints = EndpointTracker(
            persistent_keepalive=config.persistent_keepalive, has_route=self.underlay.reaches, mesh=config.mesh
        )
        owner = DeviceOwner(
            keys=self.saved_claim.device_keys,
            adopt=config.adopt_device,
            former=former_devices(config, self.saved_claim.device, self.saved_claim.device_keys),
            on_use=lambda: self.saved_claim.save_device(config.netns),
        )
        return Reconciler(
            backend, self.node.ifname, endpoints=endpoints, limits=self._limits, own_key=own_key, owner=owner
        )

    def _make_controller(self, private_key: PrivateKey) -> ClaimController:
        options, node, saved_claim = self._options, self.node, self.saved_claim
        return ClaimController(
            node,
            signer=RecordSigner(private_key, node.bucket, saved_claim, options.random, user=node.user),
            desired_state=self.desired_state,
            saved_claim=saved_claim,
            candidates=AddressCandidates(node, saved_claim, options.ipam.make(), options.random),
            random=options.random,
            on_claim_change=options.on_claim_change,
        )

    def _make_report(self, backend: BoundedBackend) -> Report:
        return Report(
            self.node,
            backend_name=self._options.backend.name,
            controller=self.controller,
            desired_state=self.desired_state,
            reconciler=self.reconciler,
            connection=self.connection,
            backend=backend,
            snapshot_writer=self.snapshot_writer,
            state=self._state_file,
            rotation=self.rotation,
            departure=self.departure,
            leases=self.leases,
            inquiry=self._make_inquiry(backend),
            observers=self._options.observers,
            journal=self._options.journal,
            metrics_peers=self._options.config.metrics_peers,
            settings=self._shown_settings,
        )

    def _make_inquiry(self, backend: BoundedBackend) -> Inquiry:
        return Inquiry(
            self.node,
            controller=self.controller,
            saved_claim=self.saved_claim,
            desired_state=self.desired_state,
            reconciler=self.reconciler,
            connection=self.connection,
            backend=backend,
            snapshot_writer=self.snapshot_writer,
            ask_other_side=partial(ask_other_side, self.questions),
            netns=self._options.config.netns,
        )

    def _shown_settings(self) -> dict[str, object]:
        """Return the settings that the agent runs with now, without secrets."""
        return (self._options.live.config or self._options.config).shown()

    def _connect(self) -> None:
        self.underlay.on_change = self._use_underlay
        self.underlay.on_move = self.reconciler.renew_endpoints
        self.reconciler.on_pass = self._report_ready
        self.reconciler.on_outcome = self._report_health
        self.reconciler.on_contact = self._probe

    def require_right(self) -> None:
        """Raise NotEntitledError if other nodes would refuse this node's record; only log it if there is a claim.

        Raises ConfigError if the account's JWT can't be used.
        """
        if self.revoked_users:
            self.revoked_users.read()
        user = self.node.user
        if user is None:
            return
        user.reload()
        if user.is_read and (problem := user.problem(self.node.kv_key)):
            if not self.saved_claim.address:
                raise problem
            log.error("no right to the own record", error=str(problem), hint=problem.hint)

    async def restore_snapshot(self) -> None:
        """Set the device from the snapshot before NATS is dialled; a failure is retried by the reconciler.

        Raises ForeignDeviceError if the device is none of this node's.
        """
        snapshot = self.controller.restore_snapshot(self.snapshot_writer.load(), time.time())
        if snapshot and snapshot.mtu and not self.underlay.found.mtu:  # no path yet, as at boot
            self.reconciler.set_mtu(snapshot.mtu)
        if snapshot:
            self.reconciler.restore_sessions(PublicKey.parse(text) for text in snapshot.sessions)
        try:
            await self.reconciler.reconcile()
        except ForeignDeviceError:
            raise
        except BackendError as error:
            ifname = self.node.ifname
            log.warning("device not restored from the snapshot", ifname=ifname, error=str(error), hint=error.hint)

    def log_start(self, *, is_first: bool) -> None:
        """Log one line that says what was started, unless it is a later agent of this process."""
        if not is_first:
            return
        config, address = self._options.config, self.saved_claim.address
        log.info(
            "agent started",
            version=__version__,
            name=printable(self.node.name),
            mesh=config.mesh_cidr,
            subnet=str(self.node.subnet_of(address) if address else config.subnet or "to be chosen"),
            ifname=self.node.ifname,
            backend=self._options.backend.name,
            nats=", ".join(urlsplit(server).netloc.rpartition("@")[2] for server in config.nats_servers),
            peers=len(self.desired_state.view.peers),
        )

    def snapshot(self, now: float) -> MeshSnapshot | None:
        """Return the snapshot to save at `now` (seconds since the epoch); None: leave the saved one unchanged."""
        self._state_file.retry_save()
        snapshot = self.controller.snapshot(now)
        if snapshot is None:
            return None
        sessions = tuple(sorted(key.text for key in self.reconciler.recent_sessions()))
        return msgspec.structs.replace(snapshot, mtu=self.reconciler.mtu, sessions=sessions)

    def warn_if_nats_is_inside(self, session: Session) -> None:
        """Log a warning if the server's address is inside the mesh, and it was not reached through the mesh."""
        mesh = self.node.mesh
        if will_be_cut_off(mesh, session.peer, session.source, self.reconciler.private_address):
            what = inside_warning(session.server, session.peer, mesh)
            log.warning("NATS is inside the mesh", reason=what, hint=INSIDE_HINT)

    async def follow_live_settings(self) -> None:
        """Advertise what the configuration says now, at each change of it, until cancelled."""
        while True:
            config = await self._options.live.changed()
            self.controller.set_endpoints(config.advertised_endpoints)
            self.underlay.set_advertised(config.advertised)
            await self.underlay.look()

    def _use_underlay(self, found: Underlay) -> None:
        """Advertise these addresses and set the MTU; endpoints may have a route now, or NATS none any more."""
        self.connection.end_session_without(has_address)
        self.controller.advertise(found.addresses)
        if found.mtu:
            self.reconciler.set_mtu(found.mtu)
            self.snapshot_writer.request_write()
        self.reconciler.request_full_pass()

    def _probe(self, keys: Iterable[PublicKey]) -> None:
        """Send to these peers, so that WireGuard makes sessions with them at once."""
        peers = self.desired_state.view.peers
        self.prober.request(peers[key].records[0].record.device_address for key in keys if key in peers)

    def _report_health(self) -> None:
        if (shown := self.reconciler.shown_revision) is not None and not self.reconciler.failure:
            self.controller.follower.times.shown(shown, time.time())
        reconciler, peers = self.reconciler, self.desired_state.view.peers
        unreachable = {
            key.text: Unreachable(peers[key].name, reason)
            for key, reason in reconciler.unreachable.items()
            if key in peers
        }
        pending = len(reconciler.pending_removals)
        health = Health(reconciler.failure, reconciler.hint, pending, unreachable)
        present = {key for key in self._health.unreachable if PublicKey.parse(key) in peers}
        self._options.journal.add(self._health.take(health, present, time.monotonic()))

    def _report_ready(self, shown: DeviceSpec) -> None:
        revision = self.reconciler.shown_revision
        if ready := mesh_ready(self.desired_state.subnet, shown.addresses, self.node.ifname, revision):
            self._options.event_hub.set_ready(ready)
