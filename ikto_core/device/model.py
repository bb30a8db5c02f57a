"""The desired state of a WireGuard device (Spec), its observed state (State), and a change to it (Patch).

Every record is frozen. Field comments say what `None` means. Mappings are never changed after construction. Peers are
not tracked by the garbage collector (`gc=False`): they contain only values, so ten thousand of them cost it nothing.
"""

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface

import msgspec

from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PrivateKey, PublicKey

Interface = IPv4Interface | IPv6Interface
"""An address of the device with the prefix length of its connected route."""


class PeerSpec(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The desired state of a peer."""

    public_key: PublicKey
    allowed_ips: frozenset[Prefix]  # exactly these
    endpoint: Endpoint | None = None  # None: leave the endpoint that the device has or learns
    persistent_keepalive: int = 0  # seconds; 0: off
    preshared_key: PresharedKey | None = None  # None: no preshared key


class DeviceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """The desired state of a device."""

    private_key: PrivateKey
    listen_port: int
    addresses: frozenset[Interface]
    peers: Mapping[PublicKey, PeerSpec]
    fwmark: int = 0  # 0: off
    mtu: int | None = None  # bytes; None: leave the MTU of the device
    keep_foreign_peers: bool = False  # True: peers that were not put there by Ikto stay


class PeerState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The observed state of a peer."""

    public_key: PublicKey
    allowed_ips: frozenset[Prefix] = frozenset()
    endpoint: Endpoint | None = None  # None: not known yet
    persistent_keepalive: int = 0  # seconds; 0: off
    preshared_key: PresharedKey | None = None  # None: no preshared key
    last_handshake: float | None = None  # seconds since the epoch; None: never
    rx_bytes: int = 0
    tx_bytes: int = 0


class DeviceState(msgspec.Struct, frozen=True, kw_only=True):
    """The observed state of a device, as its backend reads it."""

    private_key: PrivateKey | None = None  # None: not set, or not readable
    listen_port: int = 0  # 0: not chosen yet
    fwmark: int = 0  # 0: off
    mtu: int = 1420  # bytes
    up: bool = False
    addresses: frozenset[Interface] = frozenset()  # without the link-local addresses that the system adds
    peers: Mapping[PublicKey, PeerState] = msgspec.field(default_factory=dict)


class PeerPatch(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A change to one peer. A member that is None leaves the peer's value unchanged."""

    public_key: PublicKey
    create: bool = False  # False: an absent peer stays absent, as with WGPEER_F_UPDATE_ONLY
    allowed_ips: frozenset[Prefix] | None = None  # replaces the whole set
    endpoint: Endpoint | None = None
    persistent_keepalive: int | None = None  # seconds; 0 turns it off
    preshared_key: PresharedKey | None = None  # all zero removes it


class DevicePatch(msgspec.Struct, frozen=True, kw_only=True):
    """A change to one device, written from top to bottom. A member that is None or empty leaves the value unchanged."""

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
        return self != _EMPTY

    @property
    def changes_link(self) -> bool:
        """Whether the patch changes the network link and not only WireGuard: MTU, addresses, up or down."""
        return bool(self.mtu is not None or self.up is not None or self.add_addresses or self.remove_addresses)


_EMPTY = DevicePatch()
NO_PRESHARED_KEY = PresharedKey(bytes(32))
"""In a patch, this value removes a preshared key."""
