"""What is known about the way to one peer: the input of a diagnosis. Times are seconds since the epoch."""

from enum import Enum

import msgspec

from ikto_core.device.endpoint_policy import HANDSHAKE_RECENT_S, INITIATION_BYTES
from ikto_core.device.stalled import RESPONSE_BYTES


class NatsFault(Enum):
    """Why the bucket can't be used."""

    NONE = "none"
    DENIED = "denied"
    BUCKET_MISSING = "bucket missing"
    UNREACHABLE = "unreachable"


class RecordStatus(Enum):
    """What became of the target's record."""

    ACCEPTED = "accepted"
    SELF = "self"  # the target is this node
    AMBIGUOUS = "ambiguous"
    QUARANTINED = "quarantined"
    DUPLICATE_KEY = "duplicate key"  # the record names this node's key, and is not this node's
    SHARED_KEY = "shared key"  # records of several names have its key: two machines, or a former name
    LEFT = "left"
    DELETED = "deleted"  # it counts on for a while, or the peer's removal from the device is pending
    ABSENT = "absent"
    OUTSIDE_MESH = "outside the mesh"


class ClaimStatus(Enum):
    """What this node's claim is."""

    HELD = "held"
    NONE = "none"
    LOST = "lost"
    UNKNOWN = "unknown"


class AgentFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The agent of this node."""

    running: bool = True
    detail: str = ""  # its state; why it can't be asked
    remedy: str = "start it, or give its socket with -s"  # if it does not run


class NatsFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What this node knows of the bucket."""

    fault: NatsFault = NatsFault.NONE
    detail: str = ""  # the server; why NATS can't be used
    hint: str = ""  # what to do about that; empty: nothing is known
    known_until: float | None = None  # when a snapshot that is used instead was saved; None: the bucket was read
    from_snapshot: bool = False
    read: bool = True  # the bucket, or a snapshot, was read
    revision: int | None = None


class RecordFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The record that the target names."""

    status: RecordStatus = RecordStatus.ACCEPTED
    matched: str = ""  # how the target was found: "by its name"
    name: str = ""
    public_key: str = ""
    allowed_ips: tuple[str, ...] = ()
    address: str | None = None  # of the peer's device
    revision: int | None = None
    written_at: float | None = None  # None: unknown
    agent: str = ""  # the program that wrote it
    proved: bool | None = None
    reason: str = ""  # why it is not accepted; the matches if there are several
    note: str = ""  # such as a later record that does not count


class ClaimFacts(msgspec.Struct, frozen=True, kw_only=True):
    """This node's own subnet."""

    status: ClaimStatus = ClaimStatus.HELD
    subnet: str = ""
    address: str | None = None
    reason: str = ""


class PeerOnDevice(msgspec.Struct, frozen=True, kw_only=True):
    """The peer as the device shows it."""

    missing_ips: tuple[str, ...] = ()
    endpoint: str | None = None
    last_handshake: float | None = None
    rx_bytes: int = 0
    tx_bytes: int = 0
    stalled: bool = False
    kicks: int = 0  # how often the first handshake was started over


class DeviceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The WireGuard device."""

    ifname: str = "wg0"
    exists: bool | None = True  # None: it can't be read
    up: bool = True
    mtu: int | None = None
    addresses: tuple[str, ...] = ()
    failure: str = ""  # why it can't be read or brought in sync
    hint: str = ""
    synced_revision: int | None = None
    peer: PeerOnDevice | None = None  # None: the device does not have it


class Knock(Enum):
    """What an empty datagram to an endpoint met. WireGuard answers none."""

    NOT_SENT = "not sent"
    SILENT = "silent"
    REFUSED = "refused"  # ICMP: port unreachable
    UNREACHABLE = "unreachable"  # ICMP: host or network unreachable, or no answer to ARP or neighbour discovery


class EchoFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One size of packet that was sent for an answer."""

    size: int  # of the IP packet, in bytes
    rtt_s: float | None = None  # None: no answer
    failure: str = ""  # why it could not be sent; empty: it was


class CandidateFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint of the peer."""

    endpoint: str
    in_use: bool = False
    refusal: str = ""  # why it may never be written; empty: it may
    source: str | None = None  # the address that this host sends from; None: no route
    mtu: int = 0  # of the route, in bytes
    knock: Knock = Knock.NOT_SENT
    echo: EchoFacts | None = None  # to the host, beside the tunnel; None: not sent
    unchecked: str = ""  # why nothing was sent

    @property
    def family(self) -> str:
        """The family of its address."""
        return "IPv6" if self.endpoint.startswith("[") else "IPv4"


class TunnelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What was sent over the tunnel, and what the device counted meanwhile."""

    unchecked: str = ""  # why nothing was sent
    small: EchoFacts | None = None
    large: EchoFacts | None = None  # as large as the device's MTU
    fits: int | None = None  # the largest packet that was answered, if the large one was not
    window_s: float = 0.0  # how long the device was watched
    rx_growth: int = 0  # bytes from the peer in this time, authenticated by WireGuard
    tx_growth: int = 0
    renewed: bool = False  # a handshake was completed in this time


class OtherSide(msgspec.Struct, frozen=True, kw_only=True):
    """What the peer's agent says of this node; `answers` False: it does not, and `reason` says why."""

    answers: bool = False
    reason: str = "agents can't be asked"
    has_peer: bool = True  # this node is a peer on its device
    last_handshake: float | None = None
    state: str = ""  # what it says of this node in one word
    rx_bytes: int = 0  # from this node
    tx_bytes: int = 0
    rx_growth: int | None = None  # bytes from this node while it sent more; None: it was asked only once


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a diagnosis looks at."""

    target: str
    now: float
    agent: AgentFacts = AgentFacts()
    nats: NatsFacts = NatsFacts()
    record: RecordFacts = RecordFacts()
    claim: ClaimFacts = ClaimFacts()
    device: DeviceFacts = DeviceFacts()
    candidates: tuple[CandidateFacts, ...] = ()
    tunnel: TunnelFacts = TunnelFacts(unchecked="nothing was sent")
    other_side: OtherSide = OtherSide()

    @property
    def is_peer(self) -> bool:
        """Whether the target is a peer that this node should have."""
        return self.record.status in {RecordStatus.ACCEPTED, RecordStatus.SHARED_KEY, RecordStatus.DELETED}

    @property
    def acknowledged(self) -> bool:
        """Whether data was answered: by a packet, or by the peer's WireGuard, with more than a handshake."""
        answered = self.tunnel.small is not None and self.tunnel.small.rtt_s is not None
        peer = self.device.peer
        in_session = peer is not None and peer.last_handshake is not None
        return answered or (in_session and not handshakes_only(self.tunnel.rx_growth))

    @property
    def heard_now(self) -> bool:
        """Whether packets of the peer arrived while the tunnel was watched."""
        return self.acknowledged or self.tunnel.rx_growth > 0 or self.tunnel.renewed

    @property
    def heard(self) -> bool:
        """Whether the peer's packets arrive at all, now or, if there never was a session, at any time."""
        peer = self.device.peer
        never = peer is not None and peer.last_handshake is None and peer.rx_bytes > 0
        return self.heard_now or never

    @property
    def session_recent(self) -> bool:
        """Whether the last handshake is young enough for a session."""
        peer = self.device.peer
        age = None if peer is None or peer.last_handshake is None else self.now - peer.last_handshake
        return age is not None and age < HANDSHAKE_RECENT_S

    @property
    def asked(self) -> bool:
        """Whether a handshake was sent to the peer and could have been answered."""
        peer = self.device.peer
        never = peer is not None and peer.last_handshake is None and peer.tx_bytes >= INITIATION_BYTES
        return never or self.tunnel.tx_growth >= INITIATION_BYTES

    @property
    def in_use(self) -> CandidateFacts | None:
        """The endpoint in use, else the first that may be used; None: there is none."""
        usable = [one for one in self.candidates if not one.refusal]
        return next((one for one in usable if one.in_use), None) or next(
            (one for one in usable if one.source), next(iter(usable), None)
        )


def handshakes_only(count: int) -> bool:
    """Return whether so many bytes from a peer may be nothing but initiations and responses."""
    initiations = range(count // INITIATION_BYTES + 1)
    return any((count - INITIATION_BYTES * number) % RESPONSE_BYTES == 0 for number in initiations)
