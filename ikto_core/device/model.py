"""What a WireGuard device should be (Spec), is (State) and must be told (Patch).

Every record is frozen. Field comments say what `None` means. Mappings are never changed after construction. A peer is
made of values and refers to nothing that could refer back, so the collector need not look at ten thousand of them.
"""

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface

import msgspec

from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PrivateKey, PublicKey

Interface = IPv4Interface | IPv6Interface
"""An address of the device together with the prefix length of its connected route."""


class PeerSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A peer as it should be on the device."""

    public_key: PublicKey
    allowed_ips: frozenset[Prefix]  # exactly these
    endpoint: Endpoint | None = None  # write this one; None: leave whatever the device has or learns
    persistent_keepalive: int = 0  # seconds; 0: off
    preshared_key: PresharedKey | None = None  # None: there is none


class DeviceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A device as it should be."""

    private_key: PrivateKey
    listen_port: int
    addresses: frozenset[Interface]
    peers: Mapping[PublicKey, PeerSpec]
    fwmark: int = 0  # 0: off
    mtu: int | None = None  # bytes; None: leave what the device has
    keep_foreign_peers: bool = False  # True: a peer that we did not put there stays


class PeerState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A peer as the device shows it."""

    public_key: PublicKey
    allowed_ips: frozenset[Prefix] = frozenset()
    endpoint: Endpoint | None = None  # None: none known yet
    persistent_keepalive: int = 0  # seconds; 0: off
    preshared_key: PresharedKey | None = None  # None: there is none
    last_handshake: float | None = None  # seconds since the epoch; None: never
    rx_bytes: int = 0
    tx_bytes: int = 0


class DeviceState(msgspec.Struct, frozen=True, kw_only=True):
    """A device as its backend reads it."""

    private_key: PrivateKey | None = None  # None: not set, or not shown to us
    listen_port: int = 0  # 0: none chosen yet
    fwmark: int = 0  # 0: off
    mtu: int = 1420  # bytes
    up: bool = False
    addresses: frozenset[Interface] = frozenset()  # link-local ones that the system adds are not shown
    peers: Mapping[PublicKey, PeerState] = msgspec.field(default_factory=dict)


class PeerPatch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What to write about one peer. None: leave that alone."""

    public_key: PublicKey
    create: bool = False  # False: an absent peer stays absent, as WGPEER_F_UPDATE_ONLY
    allowed_ips: frozenset[Prefix] | None = None  # replaces the peer's whole set
    endpoint: Endpoint | None = None
    persistent_keepalive: int | None = None  # seconds; 0 turns it off
    preshared_key: PresharedKey | None = None  # all zero takes it away


class DevicePatch(msgspec.Struct, frozen=True, kw_only=True):
    """What to write to one device; carried out top to bottom. None or empty: leave that alone."""

    private_key: PrivateKey | None = None
    listen_port: int | None = None
    fwmark: int | None = None  # 0 turns it off
    mtu: int | None = None  # bytes
    add_addresses: frozenset[Interface] = frozenset()
    remove_addresses: frozenset[Interface] = frozenset()
    up: bool | None = None
    peers: tuple[PeerPatch, ...] = ()  # additions and changes come before removals
    remove_peers: frozenset[PublicKey] = frozenset()

    def __bool__(self) -> bool:
        """Whether there is anything to write."""
        return self != _NOTHING

    @property
    def changes_link(self) -> bool:
        """Whether it names what is the link's, and not WireGuard's: MTU, addresses, up or down."""
        return bool(self.mtu is not None or self.up is not None or self.add_addresses or self.remove_addresses)


_NOTHING = DevicePatch()
NO_PRESHARED_KEY = PresharedKey(bytes(32))
"""Written in a patch, it takes a preshared key away."""
