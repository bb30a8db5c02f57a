"""What an agent does with its parts before it dials NATS: it checks its right, and restores what it had."""

import time
from urllib.parse import urlsplit

import structlog

from ikto_core import __version__
from ikto_core.agent.options import AgentOptions
from ikto_core.agent.parts import AgentParts
from ikto_core.errors import BackendError, ForeignDeviceError
from ikto_core.values.keys import PublicKey
from ikto_core.values.text import printable

log = structlog.get_logger(__name__)


def require_right(parts: AgentParts) -> None:
    """Raise NotEntitledError if other nodes would refuse this node's record; only log it if there is a claim.

    Raises ConfigError if the account's JWT can't be used.
    """
    if parts.revoked_users:
        parts.revoked_users.read()
    user = parts.node.user
    if user is None:
        return
    user.reload()
    if user.is_read and (problem := user.problem(parts.node.kv_key)):
        if not parts.saved_claim.address:
            raise problem
        log.error("no right to the own record", error=str(problem), hint=problem.hint)


async def restore_device(parts: AgentParts) -> None:
    """Set the device from the snapshot; a failure is retried by the reconciler.

    Raises ForeignDeviceError if the device is none of this node's.
    """
    restore_snapshot(parts)
    try:
        await parts.reconciler.reconcile()
    except ForeignDeviceError:
        raise
    except BackendError as error:
        ifname = parts.node.ifname
        log.warning("device not restored from the snapshot", ifname=ifname, error=str(error), hint=error.hint)


def restore_snapshot(parts: AgentParts) -> None:
    """Set the desired state from the snapshot, and write nothing to the device."""
    snapshot = parts.controller.resuming.restore(parts.snapshot_writer.load(), time.time())
    if snapshot is None:
        return
    if snapshot.mtu and not parts.underlay.found.mtu:  # no path yet, as at boot
        parts.reconciler.set_mtu(snapshot.mtu)
    parts.reconciler.restore_sessions(PublicKey.parse(text) for text in snapshot.sessions)


def log_start(options: AgentOptions, parts: AgentParts) -> None:
    """Log one line that says what was started."""
    config, address = options.config, parts.saved_claim.address
    log.info(
        "agent started",
        version=__version__,
        name=printable(parts.node.name),
        mesh=config.mesh_cidr,
        subnet=str(parts.node.subnet_of(address) if address else config.subnet or "to be chosen"),
        ifname=parts.node.ifname,
        backend=options.backend.name,
        nats=", ".join(urlsplit(server).netloc.rpartition("@")[2] for server in config.nats_servers),
        peers=len(parts.desired_state.view.peers),
    )
