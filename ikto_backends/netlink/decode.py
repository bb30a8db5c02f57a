"""What the kernel says of a device: messages of the WireGuard generic netlink family as a `DeviceState`. Pure."""

from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, if_indextoname
from struct import Struct, error

from msgspec.structs import replace

from ikto_backends.netlink.attributes import HEADER, AllowedIP, Device, Peer, attribute, attributes
from ikto_core.addressing import Endpoint, Prefix, format_address
from ikto_core.errors import BackendError
from ikto_core.keys import PresharedKey, PrivateKey, PublicKey
from ikto_core.model import DeviceState, PeerState

_U16 = Struct("=H")
_U32 = Struct("=I")
_U64 = Struct("=Q")
_TIMESPEC = Struct("=qq")
_SOCKADDR_IN = Struct("=4x4s")  # family and port are read apart
_SOCKADDR_IN6 = Struct("=8x16sI")

_Scalars = tuple[bytes, bytes, bytes, int, int, int]  # public key, preshared key, handshake, keepalive, sent, received
NO_PREFIXES: frozenset[Prefix] = frozenset()

# What Linux says of a peer first and of an allowed IP, header and value by turns: read in one go, a large device takes
# a third of the time. Any other order, or another attribute in between, is read one by one.
_USUAL_PEER = Struct("=4s32s 4s32s 4s16s 4sHxx 4sQ 4sQ")
_USUAL_PEER_HEADERS = tuple(
    HEADER.pack(length, kind)
    for length, kind in (
        (36, Peer.PUBLIC_KEY),
        (36, Peer.PRESHARED_KEY),
        (20, Peer.LAST_HANDSHAKE),
        (6, Peer.PERSISTENT_KEEPALIVE),
        (12, Peer.TX_BYTES),
        (12, Peer.RX_BYTES),
    )
)
_LENGTH_HEADER = HEADER.pack(5, AllowedIP.LENGTH)
_USUAL_ALLOWED_IPS = {  # by size: the form, and the whole family together with the address's header
    24: (Struct("=4sBxxx 12s4s"), attribute(AllowedIP.FAMILY, _U16.pack(AF_INET)) + HEADER.pack(8, AllowedIP.ADDRESS)),
    36: (
        Struct("=4sBxxx 12s16s"),
        attribute(AllowedIP.FAMILY, _U16.pack(AF_INET6)) + HEADER.pack(20, AllowedIP.ADDRESS),
    ),
}


def decode(messages: Iterable[bytes], *, scope_name: Callable[[int], str] = if_indextoname) -> DeviceState:
    """Return what the payloads of one WG_CMD_GET_DEVICE dump say: keys, port, mark and peers; the rest is not theirs.

    A dump splits long peers, and these are put together again.

    Args:
        messages: The attributes of each message, without headers.
        scope_name: Gives the name of the interface with a number, for a link-local endpoint's scope.

    Raises BackendError if they are not such messages.

    """
    device = _Device(scope_name)
    try:
        for message in messages:
            device.take(message)
        return device.state()
    except (ValueError, error, KeyError, IndexError) as mistake:
        raise BackendError(f"netlink: the kernel's answer can't be read: {mistake!r}") from mistake


class _Device:
    """A device, gathered message by message."""

    def __init__(self, scope_name: Callable[[int], str]) -> None:
        self._scope_name = scope_name
        self._private_key: PrivateKey | None = None
        self._listen_port = 0
        self._fwmark = 0
        self._peers: dict[PublicKey, PeerState] = {}

    def state(self) -> DeviceState:
        return DeviceState(
            private_key=self._private_key,
            listen_port=self._listen_port,
            fwmark=self._fwmark,
            peers=self._peers,
        )

    def take(self, data: bytes) -> None:
        for kind, start, end in attributes(data):
            if kind == Device.PRIVATE_KEY:
                raw = data[start:end]
                self._private_key = PrivateKey(raw) if any(raw) else None
            elif kind == Device.LISTEN_PORT:
                (self._listen_port,) = _U16.unpack(data[start:end])
            elif kind == Device.FWMARK:
                (self._fwmark,) = _U32.unpack(data[start:end])
            elif kind == Device.PEERS:
                for _, peer_start, peer_end in attributes(data, start, end):
                    self._take_peer(data, peer_start, peer_end)

    def _take_peer(self, data: bytes, start: int, end: int) -> None:
        """Take a peer; of its fragments the first says all, the others only more allowed IPs."""
        (raw_key, preshared, handshake, keepalive_s, tx_bytes, rx_bytes), rest = _scalars(data, start, end)
        endpoint, allowed_ips = None, NO_PREFIXES
        for kind, first, last in attributes(data, rest, end):
            if kind == Peer.ENDPOINT:
                endpoint = self._endpoint(data[first:last])
            elif kind == Peer.ALLOWED_IPS:
                allowed_ips = frozenset([_allowed_ip(data, *span) for span in attributes(data, first, last)])
        public_key = PublicKey(raw_key)
        if known := self._peers.get(public_key):
            self._peers[public_key] = replace(known, allowed_ips=known.allowed_ips | allowed_ips)
            return
        self._peers[public_key] = PeerState(
            public_key=public_key,
            allowed_ips=allowed_ips,
            endpoint=endpoint,
            persistent_keepalive=keepalive_s,
            preshared_key=PresharedKey(preshared) if any(preshared) else None,
            last_handshake=_time(handshake),
            rx_bytes=rx_bytes,
            tx_bytes=tx_bytes,
        )

    def _endpoint(self, raw: bytes) -> Endpoint:
        (family,) = _U16.unpack_from(raw)
        port = int.from_bytes(raw[2:4], "big")
        if family == AF_INET:
            (address,) = _SOCKADDR_IN.unpack_from(raw)
            return Endpoint(format_address(address), port)
        if family != AF_INET6:
            raise ValueError(f"address family {family}")
        address, scope = _SOCKADDR_IN6.unpack_from(raw)
        return Endpoint(format_address(address) + (f"%{self._scope(scope)}" if scope else ""), port)

    def _scope(self, number: int) -> str:
        try:
            return self._scope_name(number)
        except (OSError, OverflowError):  # the interface has gone
            return str(number)


def _scalars(data: bytes, start: int, end: int) -> tuple[_Scalars, int]:
    """Return what a peer says of fixed size, zeros where it says nothing, and where to look for the rest."""
    if start + _USUAL_PEER.size <= end:
        usual = _USUAL_PEER.unpack_from(data, start)
        if usual[::2] == _USUAL_PEER_HEADERS:
            return usual[1::2], start + _USUAL_PEER.size
    said = {kind: data[first:last] for kind, first, last in attributes(data, start, end)}
    scalars = (
        said[Peer.PUBLIC_KEY],
        said.get(Peer.PRESHARED_KEY, b""),
        said.get(Peer.LAST_HANDSHAKE, bytes(_TIMESPEC.size)),
        _number(_U16, said.get(Peer.PERSISTENT_KEEPALIVE)),
        _number(_U64, said.get(Peer.TX_BYTES)),
        _number(_U64, said.get(Peer.RX_BYTES)),
    )
    return scalars, start


def _number(form: Struct, raw: bytes | None) -> int:
    return int(form.unpack(raw)[0]) if raw else 0


def _time(raw: bytes) -> float | None:
    """Return a handshake's time; a peer that never had one shows zero."""
    seconds, nanoseconds = _TIMESPEC.unpack(raw)
    return seconds + nanoseconds / 1e9 or None


def _allowed_ip(data: bytes, _: int, start: int, end: int) -> Prefix:
    address, length = _usual_allowed_ip(data, start, end) or _unusual_allowed_ip(data, start, end)
    if length > 8 * len(address):
        raise ValueError(f"an allowed IP of {len(address)} bytes and {length} bits")
    return Prefix(address, length)


def _usual_allowed_ip(data: bytes, start: int, end: int) -> tuple[bytes, int] | None:
    if (usual := _USUAL_ALLOWED_IPS.get(end - start)) is None:
        return None
    form, headers = usual
    header, length, between, address = form.unpack_from(data, start)
    return (address, length) if header == _LENGTH_HEADER and between == headers else None


def _unusual_allowed_ip(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    said = {kind: data[first:last] for kind, first, last in attributes(data, start, end)}
    address, (length,) = said[AllowedIP.ADDRESS], said[AllowedIP.LENGTH]
    if len(address) not in {4, 16}:
        raise ValueError(f"an allowed IP of {len(address)} bytes")
    return address, length
