"""Whether a node is healthy, for the exit code of `ikto status`. Pure."""

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.cli.exit_codes import DEGRADED, STARTING


def health_code(status: StatusView) -> int:
    """Return the exit code: 0 if the node is healthy, STARTING, or DEGRADED.

    Records of others that are quarantined are not this node's trouble.
    """
    if status.state not in (AgentState.READY, AgentState.DEGRADED):
        return STARTING
    return DEGRADED if status.state is AgentState.DEGRADED or any(troubles(status)) else 0


def troubles(status: StatusView) -> tuple[object, ...]:
    """Return what is wrong with a node whose device shows the mesh; what is not wrong is empty or None."""
    return (
        status.nats.failure,
        status.snapshot.failure,
        status.lease and status.lease.failure,
        status.credentials and status.credentials.failure,
        status.mesh_settings_conflict,
        status.device_failure,
        status.device_stuck,
        status.pending_removals,
        status.pending_key_changes,
    )
