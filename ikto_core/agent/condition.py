"""How far an agent is, and what is wrong with it, from what its parts know. The device is not read."""

from ikto_core.admin.views import AgentState, NatsView, ProgressView
from ikto_core.agent.systemd import ServiceState, status_text
from ikto_core.claim.controller import ClaimController
from ikto_core.claim.desired_state import DesiredState
from ikto_core.device.bounded_backend import BoundedBackend
from ikto_core.device.reconciler import Reconciler
from ikto_core.errors import BackendError
from ikto_core.store.connection import Connection


class Condition:
    """The condition of an agent at the moment."""

    def __init__(
        self,
        controller: ClaimController,
        desired_state: DesiredState,
        reconciler: Reconciler,
        connection: Connection,
        backend: BoundedBackend,
    ) -> None:
        self._controller = controller
        self._desired_state = desired_state
        self._reconciler = reconciler
        self._connection = connection
        self._backend = backend

    @property
    def failure(self) -> BackendError | None:
        """Why the last pass of the reconciler failed; None: it did not."""
        failure = self._reconciler.failure
        return BackendError(failure, hint=self._reconciler.hint) if failure else None

    @property
    def ready(self) -> bool:
        """Whether the device shows the mesh. NATS may be unreachable: tunnels do not depend on it."""
        return self._shows_mesh() and not self._reconciler.failure

    def state(self, *, device_failed: bool) -> AgentState:
        """Return how far the agent has come, in one word."""
        if device_failed:
            return AgentState.DEGRADED
        if self._shows_mesh():
            cut_off = not self._connection.server or self._desired_state.is_snapshot
            return AgentState.DEGRADED if cut_off else AgentState.READY
        if self._controller.record:
            return AgentState.APPLYING
        bucket_read = self._connection.server and self._controller.follower.synced.is_set()
        return AgentState.CLAIMING if bucket_read else AgentState.CONNECTING

    def nats(self) -> NatsView:
        """Return the connection to NATS, with why it or the own record can't be kept."""
        server, connection = self._connection.server or None, self._connection
        failed = connection if connection.failure else self._controller.recheck
        return NatsView(connected=bool(server), server=server, failure=failed.failure or None, hint=failed.hint or None)

    def progress(self) -> ProgressView:
        """Return how far the agent is."""
        subnet = self._desired_state.subnet
        return ProgressView(
            state=self.state(device_failed=self.failure is not None),
            claimed=self._controller.is_claimed,
            ready=self.ready,
            allowed_ip=str(subnet) if subnet else None,
            private_address=self._reconciler.private_address,
            accepted=len(self._desired_state.view.peers),
            revision=self._reconciler.shown_revision,
            bucket_revision=self._controller.follower.bucket_revision,
            failure=self._reconciler.failure or self.nats().failure,
        )

    def service_state(self) -> ServiceState:
        """Return what the service manager is told."""
        device, nats, peers = self.failure, self.nats(), len(self._desired_state.view.peers)
        failure, hint = (str(device), device.hint) if device else (nats.failure or "", nats.hint or "")
        state = self.state(device_failed=device is not None)
        return ServiceState(
            retries=self._controller.has_saved_claim,
            progressing=not (self._backend.stuck or self._reconciler.overdue),
            status=status_text(state.value, peers, failure, hint),
        )

    def _shows_mesh(self) -> bool:
        """Return whether the device has shown the mesh, with an address of this node's subnet."""
        return self._reconciler.shows_target and bool(self._reconciler.addresses)
