"""The public JSON of the admin interface: one record type per answer. Those that are not here are in *_views.py.

`null` always means that a value does not exist, or not yet. Names and reasons may contain untrusted text. Keys are
base64 as `wg` prints it, subnets ADDRESS/LENGTH, endpoints HOST:PORT. Times are RFC 3339 in UTC; durations are numbers
of seconds, and their names end in `_s`. There are no private and no preshared keys.
"""

from datetime import datetime
from enum import Enum

import msgspec

from ikto_core.admin.device_views import DeviceView
from ikto_core.admin.mesh_views import QuarantinedView, UnreachableView
from ikto_core.admin.timing_views import TimingsView
from ikto_core.values.counters import (
    ConnectionCounters,
    FollowerCounters,
    LeaseCounters,
    ObserverCounters,
    ProofCounters,
    ReconcileCounters,
    RecordCounters,
    ResyncCounters,
    SnapshotCounters,
)


class AgentState(Enum):
    """The agent's state in one word."""

    CONNECTING = "connecting"  # no session with NATS, or the bucket is not completely read yet
    CLAIMING = "claiming"  # the bucket is read; this node's subnet is not claimed yet
    APPLYING = "applying"  # the subnet is claimed; the device does not show the bucket yet
    READY = "ready"  # the device shows the bucket
    DEGRADED = "degraded"  # the device can't be used now, or it shows the mesh and NATS can't be used


class NatsView(msgspec.Struct, frozen=True, kw_only=True):
    """The connection to NATS."""

    connected: bool
    server: str | None  # its URL, without credentials; null: not connected
    failure: str | None  # why NATS is not connected, or why the own record can't be maintained; null: no failure
    hint: str | None = None  # what to do about `failure`; null: no failure, or nothing is known


class SnapshotView(msgspec.Struct, frozen=True, kw_only=True):
    """The mesh snapshot on disk."""

    in_use: bool  # the device shows the snapshot, because the bucket has not been read since the start
    revision: int | None  # the bucket's revision in the snapshot; null: there is no usable snapshot
    saved_at: datetime | None  # when the snapshot was taken; null as for `revision`
    failure: str | None  # why the snapshot can't be written; null: no failure


class LeaseView(msgspec.Struct, frozen=True, kw_only=True):
    """The lease of the node's own record."""

    lease_s: int  # seconds that the record lives after its last renewal
    renewed_at: datetime | None = None  # null: not yet in this run
    failure: str  # why the lease can't be renewed; empty: no failure
    refusal: str  # why expired records of other nodes can't be removed; empty: no refusal known


class CredentialsView(msgspec.Struct, frozen=True, kw_only=True):
    """The node's user JWT, from its creds file."""

    expires_at: datetime | None  # null: never
    expires_soon: bool  # within a week, or it has expired
    failure: str | None  # why other nodes would refuse the node's record (`record_trust`); null: no failure


class RotationView(msgspec.Struct, frozen=True, kw_only=True):
    """A key rotation under way. It is complete when the status has this key as `public_key`."""

    next_public_key: str
    due_at: datetime | None  # when the node switches keys; null: the key is not announced yet


class ObserverView(msgspec.Struct, frozen=True, kw_only=True):
    """One configured observer."""

    name: str  # NAME or NAME=ARGUMENT, as in the configuration
    failure: str | None  # why it receives no events at present; null: it does
    hint: str | None = None  # what to do about `failure`; null: no failure, or nothing is known
    waiting: int  # upper bound of the peers and records with an event to deliver
    counters: ObserverCounters


class CountersView(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since the agent's start."""

    follower: FollowerCounters
    reconcile: ReconcileCounters
    connection: ConnectionCounters
    snapshot: SnapshotCounters
    lease: LeaseCounters = msgspec.field(default_factory=LeaseCounters)
    proof: ProofCounters = msgspec.field(default_factory=ProofCounters)
    record: RecordCounters = msgspec.field(default_factory=RecordCounters)
    resync: ResyncCounters = msgspec.field(default_factory=ResyncCounters)


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/status`: the agent's status."""

    state: AgentState
    ready: bool = False  # the device shows the mesh; NATS may be unreachable
    version: str  # Ikto's version
    name: str
    public_key: str
    private_address: str | None  # the device's address; null: nothing is claimed yet
    allowed_ip: str | None  # the node's subnet; null as for `private_address`
    ifname: str
    backend: str  # the backend's name
    nats: NatsView
    snapshot: SnapshotView
    lease: LeaseView | None = None  # null: the record has no lease and does not expire
    credentials: CredentialsView | None = None  # null: the node logs in without a creds file
    revision: int | None  # the bucket's revision that the device shows; null: none yet
    bucket_revision: int  # the latest known revision of the bucket; 0: none
    accepted: int  # the number of accepted peers (not records)
    unproved: int = 0  # the number of accepted peers of whom a record has no proof
    quarantined: tuple[QuarantinedView, ...]  # by key
    pending_removals: tuple[str, ...]  # public keys of the peers whose removal waits to be applied
    pending_key_changes: tuple[str, ...] = ()  # subnets of records with another public key than before, which wait
    frequent_records: tuple[str, ...] = ()  # subnets of records that change too often: the latest change may wait
    unreachable_endpoints: tuple[UnreachableView, ...] = ()  # peers of whom no endpoint is usable, by public key
    mesh_settings_conflict: str | None = None  # how the bucket's mesh settings differ from the node's; null: not
    device: DeviceView | None  # null: it is absent or can't be read, see device_failure
    device_failure: str | None  # why the device is not in sync or can't be read; null: no failure
    device_hint: str | None = None  # what to do about `device_failure`; null: no failure, or nothing is known
    device_stuck: bool = False  # a call of the backend has not returned in time, and still has not
    rotation: RotationView | None = None  # null: none is under way
    timings: TimingsView | None = None  # null: from an agent of an earlier version
    observers: tuple[ObserverView, ...] = ()  # in the configuration's order
    counters: CountersView


class ProgressView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/progress`: how far the agent is. It can be asked often: the device is not read."""

    state: AgentState
    claimed: bool  # in this run the bucket has had the node's record; False also after it was lost
    ready: bool  # the device shows the mesh, from the bucket or from the snapshot
    allowed_ip: str | None  # the node's subnet; null: none yet
    private_address: str | None  # the device's address; null: none yet
    accepted: int  # the number of accepted peers
    revision: int | None  # the bucket's revision that the device shows; null: none yet
    bucket_revision: int  # the latest known revision of the bucket; 0: none
    failure: str | None  # why the device or NATS can't be used, or the record not be written; null: no failure


class EventView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What each line of `GET /v1/events` has beside the members of its event."""

    number: int  # ascending; give the last one as `after` to read on
    time: str  # RFC 3339, UTC
    replaces: str = ""  # of an accepted peer: the public key that it had until now; omitted: none
    replaced_by: str = ""  # of a removed peer: the public key that it has from now on; omitted: none


class ErrorView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every answer with an HTTP status of 400 or more."""

    error: str
    hint: str = ""  # what to do about it; omitted when empty
