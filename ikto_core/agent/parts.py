"""The parts of an agent, made for one key and connected to each other. Starts no task."""

from functools import partial
from pathlib import Path

import msgspec
import structlog

from ikto_core.agent.assembly import make_controller, make_desired_state, make_reconciler, make_revoked_users
from ikto_core.agent.callbacks import DeviceCallbacks, UnderlayCallbacks
from ikto_core.agent.departure import Departure
from ikto_core.agent.from_config import local_node, nats_settings
from ikto_core.agent.health import NodeHealth
from ikto_core.agent.inquiry import Inquiry
from ikto_core.agent.key_rotation import KeyRotation
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.other_side import ask_other_side
from ikto_core.agent.report import Report
from ikto_core.claim.saved_claim import SavedClaim
from ikto_core.device.bounded_backend import BoundedBackend
from ikto_core.disk.mesh_snapshot import MeshSnapshot, SnapshotFile
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.disk.state_file import StateFile
from ikto_core.fleet.peer_word import PeerQuestions
from ikto_core.fleet.responder import Responder
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.store.connection import Connection
from ikto_core.store.inside_mesh import INSIDE_HINT, inside_warning, will_be_cut_off
from ikto_core.store.session import Session
from ikto_core.underlay.handshake_probe import Prober
from ikto_core.underlay.monitor import UnderlayMonitor
from ikto_core.values.keys import PrivateKey
from ikto_core.values.removal_brake import BrakeLimits

log = structlog.get_logger(__name__)


class AgentParts:
    """What an agent runs, and the callbacks between these parts.

    `state_dir`: where its state is kept instead of in the configured directory.
    """

    def __init__(
        self, options: AgentOptions, private_key: PrivateKey, backend: BoundedBackend, state_dir: Path | None = None
    ) -> None:
        config, random = options.live.config or options.config, options.random
        own_key, limits = private_key.public(), BrakeLimits(share=config.removal_limit / 100)
        directory = state_dir or config.state_path()
        self._options = options
        self.node = local_node(config)
        self.underlay = UnderlayMonitor(config.advertised, config.mesh, config.wg_dev_name, fwmark=config.fwmark)
        self.prober = Prober(lambda: self.reconciler.private_address, config.netns)
        self.snapshot_writer = SnapshotWriter(SnapshotFile(directory))
        self._state_file = StateFile(directory)
        self.saved_claim = saved_claim = SavedClaim(self.node, own_key, self._state_file)
        self.reconciler = make_reconciler(
            options, backend, own_key, saved_claim=saved_claim, underlay=self.underlay, limits=limits
        )
        self.desired_state = make_desired_state(
            options,
            private_key,
            node=self.node,
            reconciler=self.reconciler,
            snapshot_writer=self.snapshot_writer,
            limits=limits,
        )
        self.revoked_users = make_revoked_users(options, self.node, self.desired_state)
        self.controller = make_controller(
            options, private_key, node=self.node, saved_claim=saved_claim, desired_state=self.desired_state
        )
        self.rotation = KeyRotation(options.key_path, self.controller, self.reconciler, saved_claim)
        self.leases = LeaseRenewer(self.node.lease_s, lambda: self.controller.record, self.controller.follower, random)
        settings = nats_settings(config, self.node.name)
        self.connection = Connection(settings, random, keep_trying=lambda: self.controller.has_saved_claim)
        self.departure = Departure(self.controller, self.reconciler, saved_claim, lambda: self.connection.failure)
        self.questions = PeerQuestions(self.node.bucket, lambda: self.desired_state.view)
        self.report = self._make_report(backend)
        self.responder = self._make_responder(private_key) if config.mesh_answers else None
        self._connect()

    def _make_responder(self, private_key: PrivateKey) -> Responder:
        health = NodeHealth(self.report, self.controller, self.desired_state, self.reconciler)
        return Responder(self.node.bucket, private_key, health, self._options.random)

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
        """Have the parts tell each other what they find."""
        UnderlayCallbacks(self.controller, self.reconciler, self.connection, self.snapshot_writer).connect(
            self.underlay
        )
        DeviceCallbacks(
            self.controller,
            self.desired_state,
            self.reconciler,
            prober=self.prober,
            event_hub=self._options.event_hub,
            journal=self._options.journal,
        ).connect()

    def snapshot(self, now: float) -> MeshSnapshot | None:
        """Return the snapshot to save at `now` (seconds since the epoch); None: leave the saved one unchanged."""
        self._state_file.retry_save()
        snapshot = self.controller.resuming.snapshot(now)
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
