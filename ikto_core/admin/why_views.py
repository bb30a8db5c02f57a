"""The answer to `why`: the links of the chain from the bucket to a peer, and one verdict."""

from datetime import datetime
from enum import Enum

import msgspec


class Mark(Enum):
    """What was found at a link."""

    OK = "ok"
    FAULT = "fault"
    UNKNOWN = "unknown"  # not checked; the link says why


class Cause(Enum):
    """Why a peer is not reachable, or what else is wrong. Earlier ones explain later ones."""

    SELF = "this node itself"
    AMBIGUOUS = "several peers match"
    LOST_CLAIM = "the subnet belongs to another node"
    NOT_CLAIMED = "no subnet claimed"
    DUPLICATE_KEY = "the record names this node's public key"
    QUARANTINED = "the record is quarantined"
    LEFT = "the node has left"
    REMOVAL_PENDING = "the record was deleted, the removal is pending"
    OUTSIDE_MESH = "the address is outside the mesh"
    NOT_IN_BUCKET = "the bucket has no such record"
    NO_AGENT = "no agent runs"
    NO_DEVICE = "the device is missing"
    BACKEND_FAILING = "the backend fails"
    DEVICE_DOWN = "the device is down"
    NOT_ON_DEVICE = "the peer is not on the device"
    WRONG_ALLOWED_IPS = "the peer lacks allowed IPs on the device"
    NO_ENDPOINT = "no endpoint is usable"
    NO_ROUTE = "no route to the endpoint"
    NATS_DENIED = "NATS denies access"
    BUCKET_MISSING = "the bucket is missing"
    NATS_UNREACHABLE = "NATS is unreachable"
    NOT_A_PEER_THERE = "the peer does not have this node"
    PORT_CLOSED = "the endpoint's port is closed"
    HOST_UNREACHABLE = "the endpoint's host is unreachable"
    DEAD_ENDPOINT = "nothing answers at the endpoint"
    ONE_WAY = "packets pass one way only"
    NO_HANDSHAKE = "handshakes get no answer"
    STALLED = "handshakes pass and data does not"
    MTU_BLACK_HOLE = "large packets are lost"
    DATA_LOST = "data gets no answer"
    UNCERTAIN = "no fault was found, and no packet has passed"
    NONE = "no fault"


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One link of the chain."""

    name: str  # such as "record" or "handshake"
    mark: Mark
    text: str  # what was found, or why it could not be checked
    details: tuple[str, ...] = ()  # further lines
    cause: Cause | None = None  # of a fault; null: no fault
    fault: str = ""  # the fault as a clause of the verdict; empty: no fault
    remedy: str = ""  # what to do about it; empty: no fault


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The result in one sentence."""

    reachable: bool | None  # null: it could not be determined
    cause: Cause
    sentence: str  # what is the matter, and what to do


class TunnelPath(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach a peer: over the tunnel, and beside it."""

    ifname: str  # the WireGuard device
    netns: str = ""  # the device's network namespace, by name or path; empty: the agent's
    fwmark: int = 0  # of the device's packets; 0: none
    source: str | None = None  # this node's address in the mesh; null: none
    address: str | None = None  # the peer's address in the mesh; null: unknown
    mtu: int | None = None  # of the device, in bytes; null: unknown
    endpoint: str | None = None  # the one in use, else the first that may be; null: none
    last_handshake: datetime | None = None  # null: never, or unknown
    stalled: bool = False  # as in the status


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """`GET /v1/why`: the chain from the bucket to a peer, link by link, and the verdict."""

    target: str  # as asked
    peer: str  # its name; empty: unknown
    public_key: str  # empty: unknown
    links: tuple[Link, ...]  # in order
    verdict: Verdict
    path: TunnelPath | None = None  # null: there is no such peer
