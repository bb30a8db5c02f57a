"""What an agent counts since its start; shown as it is in status and metrics."""

import msgspec


class FollowerCounters(msgspec.Struct, kw_only=True):
    """What following the bucket took."""

    pushes: int = 0  # messages that NATS pushed to us
    gaps: int = 0  # pushes that showed that one before them was missed
    whole_walks: int = 0  # readings of the whole bucket
    catch_ups: int = 0  # readings of what was new
    failures: int = 0  # readings that failed


class ReconcileCounters(msgspec.Struct, kw_only=True):
    """What keeping the device equal took."""

    full_passes: int = 0  # the device was read and compared
    quick_passes: int = 0  # a few changed peers were written
    peers_written: int = 0
    peers_removed: int = 0
    drift_repaired: int = 0  # whole passes that found what nobody had asked for
    failures: int = 0


class ConnectionCounters(msgspec.Struct, kw_only=True):
    """What staying connected to NATS took."""

    sessions: int = 0  # connections that were let in
    failures: int = 0  # attempts, or connections, that ended


class SnapshotCounters(msgspec.Struct, kw_only=True):
    """What keeping the mesh on disk took."""

    writes: int = 0
    failures: int = 0


class ObserverCounters(msgspec.Struct, kw_only=True):
    """What telling one observer took."""

    calls: int = 0
    events: int = 0  # told by these calls
    failures: int = 0  # how often it ended, or could not be opened


class LeaseCounters(msgspec.Struct, kw_only=True):
    """What leases took; all 0 where the node has none."""

    renewals: int = 0  # of our own lease
    failures: int = 0  # renewals that failed
    records_removed: int = 0  # records of others that we removed, for their lease ran out
