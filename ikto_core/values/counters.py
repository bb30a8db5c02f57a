"""What an agent counts since it started; status and metrics show these fields under the same names."""

import msgspec


class FollowerCounters(msgspec.Struct, kw_only=True):
    """Counters of the bucket's follower."""

    pushes: int = 0  # messages that NATS pushed to this node
    junk_pushes: int = 0  # messages on the push subject that are not the server's: a client sent them, or had them sent
    gaps: int = 0  # pushes that showed that an earlier push was missed
    checks: int = 0  # answers of the bucket's leader about its state
    whole_walks: int = 0  # reads of the whole bucket
    catch_ups: int = 0  # reads of the changes since the last read
    audits: int = 0  # reads of a part of the bucket, to compare it with what is known
    failures: int = 0  # reads that failed


class ReconcileCounters(msgspec.Struct, kw_only=True):
    """Counters of the device's reconciler."""

    full_passes: int = 0  # passes that read the device and compared all of it
    quick_passes: int = 0  # passes that wrote a few changed peers without reading the device
    peers_written: int = 0
    peers_removed: int = 0
    kicks: int = 0  # new peers removed and added again, because their first handshake got no answer
    drift_repaired: int = 0  # full passes that found a change made outside Ikto
    failures: int = 0


class ConnectionCounters(msgspec.Struct, kw_only=True):
    """Counters of the connection to NATS."""

    sessions: int = 0  # connections that NATS accepted
    failures: int = 0  # connection attempts that failed, and connections that were lost


class SnapshotCounters(msgspec.Struct, kw_only=True):
    """Counters of the mesh snapshot on disk."""

    writes: int = 0
    failures: int = 0


class ObserverCounters(msgspec.Struct, kw_only=True):
    """Counters of one observer."""

    calls: int = 0
    events: int = 0  # events delivered by these calls
    failures: int = 0  # how often the observer ended or could not be opened


class LeaseCounters(msgspec.Struct, kw_only=True):
    """Counters of leases; all 0 if the node has no lease."""

    renewals: int = 0  # renewals of this node's own lease
    failures: int = 0  # renewals that failed
    records_removed: int = 0  # peers' records that this node removed because their lease had expired


class ResyncCounters(msgspec.Struct, kw_only=True):
    """Reads of the whole bucket, by their cause."""

    start: int = 0  # nothing was read before
    requested: int = 0  # an operator asked for it
    audit: int = 0  # a part of it that was read again differed, although nothing looked wrong
    replaced: int = 0  # the leader has another stream, or the same one at an earlier revision
    rewritten: int = 0  # the bucket has another history than was read before
    purged: int = 0  # the leader has other keys than were read, without a write that says so


class RecordCounters(msgspec.Struct, kw_only=True):
    """Counters of changes in the bucket."""

    delayed: int = 0  # changes that had to wait, because their record changes too often


class ProofCounters(msgspec.Struct, kw_only=True):
    """Counters of the proofs in records."""

    verified: int = 0  # signatures that were verified
    wrong: int = 0  # of these, the ones that were wrong
    replays: int = 0  # proved records that were older than one seen before
    overwrites: int = 0  # other writes over a proved record without its owner's proof
    alarms: int = 0  # writes of others over the own record or in this node's name; own ones that it may not withdraw
