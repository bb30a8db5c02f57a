"""What the agent tells on its socket: the public JSON, one record a kind of answer.

`null` always means that there is none, or none yet. Names and reasons are what others wrote: any text at all.
Keys are base64 as `wg` prints it, subnets ADDRESS/LENGTH, endpoints HOST:PORT. Private and preshared keys never occur.
"""

from enum import Enum

import msgspec

from ikto_core.values.counters import (
    ConnectionCounters,
    FollowerCounters,
    LeaseCounters,
    ObserverCounters,
    ReconcileCounters,
    SnapshotCounters,
)


class AgentState(Enum):
    """How far the agent has come, in one word."""

    CONNECTING = "connecting"  # no session with NATS, or no complete view of the bucket yet
    CLAIMING = "claiming"  # the bucket is in view; our subnet is not claimed yet
    APPLYING = "applying"  # our subnet is claimed; the device has not shown the bucket yet
    READY = "ready"  # the device shows the bucket
    DEGRADED = "degraded"  # it did, or shows the kept mesh; but NATS is out of reach, or the device can't be used


class RecordView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record as it stands in the bucket, with the record's own member names."""

    name: str
    public_key: str
    advertise_address: str  # an IP literal
    allowed_ip: str  # as written, ADDRESS/LENGTH
    wg_port: int
    endpoints: tuple[str, ...] = ()  # best first; left out when empty: advertise_address and wg_port


class InfoView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/info`: our own record and everybody else's."""

    own: RecordView | None = msgspec.field(name="self")  # null: nothing is claimed yet
    peers: tuple[RecordView, ...]  # one entry an accepted record, by ascending subnet


class NatsView(msgspec.Struct, frozen=True, kw_only=True):
    """The connection to NATS."""

    connected: bool
    server: str | None  # its URL, without credentials; null: not connected
    failure: str | None  # why we are not connected, or why our record can't be kept; null: neither


class SnapshotView(msgspec.Struct, frozen=True, kw_only=True):
    """The accepted mesh on disk."""

    in_use: bool  # the device shows it: the bucket has not been read since the start
    revision: int | None  # of the bucket, that is kept; null: nothing is, or nothing that can be used
    saved_at: float | None  # seconds since the epoch, when that was new; null as above
    failure: str | None  # why what is new can't be kept


class LeaseView(msgspec.Struct, frozen=True, kw_only=True):
    """Our record's lease."""

    lease_s: int  # seconds that the record stays after its last renewal
    renewed_at: float | None = None  # seconds since the epoch; null: not yet in this run
    failure: str  # why it is not renewed; empty: it is
    refusal: str  # why records of others whose lease ran out can't be removed; empty: they can, as far as is known


class QuarantinedView(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is not accepted."""

    key: str  # in the bucket
    allowed_ip: str | None  # the subnet that the key stands for; null: it stands for none
    revision: int
    reason: str


class DevicePeerView(msgspec.Struct, frozen=True, kw_only=True):
    """A peer as the device has it, whoever put it there."""

    public_key: str
    name: str | None = None  # in its latest record; null: the bucket has none of it
    endpoint: str | None  # null: none known yet
    allowed_ips: tuple[str, ...]  # ascending
    last_handshake: float | None  # seconds since the epoch; null: never
    rx_bytes: int
    tx_bytes: int


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """The WireGuard device as its backend reads it."""

    listen_port: int  # 0: none chosen yet
    mtu: int  # bytes
    up: bool
    addresses: tuple[str, ...]  # ADDRESS/LENGTH, ascending
    fwmark: int  # 0: off
    peers: tuple[DevicePeerView, ...]  # by public key


class RotationView(msgspec.Struct, frozen=True, kw_only=True):
    """A rotation of the key that is under way; it is over when `public_key` of the status is that key."""

    next_public_key: str
    due_at: float | None  # when it will be switched, seconds since the epoch; null: our record does not tell of it yet


class ObserverView(msgspec.Struct, frozen=True, kw_only=True):
    """One observer, as the configuration asks for it."""

    name: str  # NAME or NAME=ARGUMENT
    failure: str | None  # why it is told nothing at present; null: it is
    waiting: int  # peers and records that may be other than it was told, at most
    counters: ObserverCounters


class CountersView(msgspec.Struct, frozen=True, kw_only=True):
    """Counts since the agent's start."""

    follower: FollowerCounters
    reconcile: ReconcileCounters
    connection: ConnectionCounters
    snapshot: SnapshotCounters
    lease: LeaseCounters = msgspec.field(default_factory=LeaseCounters)


class StatusView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/status`: what the agent is, sees and does."""

    state: AgentState
    version: str  # of Ikto
    name: str
    public_key: str
    private_address: str | None  # of the device; null: nothing is claimed yet
    allowed_ip: str | None  # our subnet; null as above
    ifname: str
    backend: str  # the backend's name
    nats: NatsView
    snapshot: SnapshotView
    lease: LeaseView | None = None  # null: the record stays for ever
    revision: int | None  # of the bucket, that the device shows; null: it has shown none yet
    bucket_revision: int  # the latest that we heard of; 0: none
    accepted: int  # peers, not records
    quarantined: tuple[QuarantinedView, ...]  # by key
    pending_removals: tuple[str, ...]  # public keys of the peers whose removal is held back by the brake
    device: DeviceView | None  # null: it is absent, or can't be read: see device_failure
    device_failure: str | None  # why the device is not what it should be, or can't be read
    rotation: RotationView | None = None  # null: none is under way
    observers: tuple[ObserverView, ...] = ()  # in the configuration's order
    counters: CountersView


class PeerView(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted peer, with what the device knows of it."""

    public_key: str
    name: str  # in its latest record
    allowed_ips: tuple[str, ...]  # of all its records, ascending
    endpoints: tuple[str, ...]  # candidates, best first
    on_device: bool | None  # null: the device can't be read
    endpoint: str | None  # the one in use; null: none known
    last_handshake: float | None  # seconds since the epoch; null: never


class PeersView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/peers`: who is accepted, and how each is doing."""

    peers: tuple[PeerView, ...]  # by ascending subnet
    device_failure: str | None  # why the device can't be read


class ReleasedView(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/peers/release`: the removals that were held back are carried out now."""

    released: int


class ErrorView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What comes with a status of 400 or more."""

    error: str
    hint: str = ""  # what to do about it; left out when empty
