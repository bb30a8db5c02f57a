"""The public JSON of the records and the peers of the mesh. The rules of views.py hold here, too."""

from datetime import datetime

import msgspec


class RecordView(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record as in the bucket, with the record's own member names."""

    name: str
    public_key: str
    advertise_address: str  # an IP literal
    allowed_ip: str  # as written, ADDRESS/LENGTH
    wg_port: int
    endpoints: tuple[str, ...] = ()  # best first; omitted when empty: use advertise_address and wg_port


class InfoView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/info`: the node's own record and the peers' records."""

    own: RecordView | None = msgspec.field(name="self")  # null: nothing is claimed yet
    peers: tuple[RecordView, ...]  # one per accepted record, by ascending subnet


class QuarantinedView(msgspec.Struct, frozen=True, kw_only=True):
    """A record that is not accepted."""

    key: str  # in the bucket
    allowed_ip: str | None  # the subnet that the key encodes; null: it encodes none
    revision: int
    reason: str


class UnreachableView(msgspec.Struct, frozen=True, kw_only=True):
    """A peer without an endpoint: this node can't send to it before the peer sends first."""

    public_key: str
    name: str  # from its latest record
    reason: str  # why no endpoint of its records is usable, for each of them


class PeerView(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted peer, with its state on the device."""

    public_key: str
    name: str  # from its latest record
    allowed_ips: tuple[str, ...]  # of all its records, ascending
    endpoints: tuple[str, ...]  # candidates, best first
    on_device: bool | None  # null: the device can't be read
    endpoint: str | None  # the one in use; null: not known
    last_handshake: datetime | None  # null: never
    proved: bool = False  # the owner of the public key has signed all its records
    draining: bool = False  # it is about to leave the mesh


class PeersView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/peers`: the accepted peers and their state on the device."""

    peers: tuple[PeerView, ...]  # by ascending subnet
    device_failure: str | None  # why the device can't be read; null: no failure
    device_hint: str | None = None  # what to do about `device_failure`; null: no failure, or nothing is known


class ReleasedView(msgspec.Struct, frozen=True, kw_only=True):
    """`POST /v1/peers/release`: the pending removals and key changes are being applied."""

    released: int  # how many
