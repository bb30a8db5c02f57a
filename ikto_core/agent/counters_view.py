"""The counters of an agent's parts, as the admin interface shows them."""

import msgspec

from ikto_core.admin.views import CountersView
from ikto_core.claim.desired_state import DesiredState
from ikto_core.device.reconciler import Reconciler
from ikto_core.disk.snapshot_writer import SnapshotWriter
from ikto_core.lease.renewer import LeaseRenewer
from ikto_core.store.connection import Connection
from ikto_core.store.follower import Follower


def counters_view(
    follower: Follower,
    desired_state: DesiredState,
    reconciler: Reconciler,
    *,
    connection: Connection,
    snapshot_writer: SnapshotWriter,
    leases: LeaseRenewer,
) -> CountersView:
    """Return copies: the counters go on."""
    counters = {
        "follower": follower.stats,
        "reconcile": reconciler.stats,
        "connection": connection.stats,
        "snapshot": snapshot_writer.stats,
        "lease": leases.stats,
        "proof": desired_state.proofs.stats,
        "record": desired_state.change_limit.stats,
        "resync": follower.resyncs,
    }
    return msgspec.convert(msgspec.to_builtins(counters), CountersView)
