"""The public JSON of the device, and of what is to be changed on it. The rules of views.py hold here, too."""

from datetime import datetime

import msgspec


class DevicePeerView(msgspec.Struct, frozen=True, kw_only=True):
    """A peer on the device, whether Ikto added it or not."""

    public_key: str
    name: str | None = None  # from its latest record; null: the bucket has no record of it
    endpoint: str | None  # null: not known yet
    allowed_ips: tuple[str, ...]  # ascending
    last_handshake: datetime | None  # null: never
    rx_bytes: int
    tx_bytes: int
    unreachable: str | None = None  # why this node can't reach it; null: it can, or was not sent anything
    stalled: bool = False  # handshakes arrive from the peer and data does not, although data is sent to it


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """The WireGuard device as the backend reads it."""

    listen_port: int  # 0: not chosen yet
    mtu: int  # bytes
    up: bool
    addresses: tuple[str, ...]  # ADDRESS/LENGTH, ascending
    fwmark: int  # 0: off
    peers: tuple[DevicePeerView, ...]  # by public key


class ChangeView(msgspec.Struct, frozen=True, kw_only=True):
    """One operation on the device. Secrets are shown as `(hidden)`."""

    action: str  # create-device, delete-device, set-device, add-peer, change-peer or remove-peer
    ifname: str  # the device
    public_key: str | None = None  # of the peer; null: the operation is on the device itself
    name: str | None = None  # of the peer, from its latest record; null as for `public_key`, or it has no record
    before: dict[str, str] = {}  # what the device has now, for each of `after`; a value that is missing is not there
    after: dict[str, str] = {}  # what is written, by name


class DiffView(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/diff`: what would be done to the device now."""

    ifname: str
    backend: str  # the backend's name
    source: str  # of the desired state: agent (a running one), bucket or snapshot
    revision: int | None  # of the bucket, whose mesh the device is to show; null: none yet
    changes: tuple[ChangeView, ...]  # in the order in which they are made; empty: the device is as it should be
    pending_removals: tuple[str, ...] = ()  # public keys of peers that are removed later, because of `removal_limit`
