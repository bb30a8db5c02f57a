"""What the kernel says of a device: messages of the WireGuard generic netlink family as a `DeviceState`. Pure."""

from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, if_indextoname
from struct import Struct, error

from ikto_backends.netlink.attributes import AllowedIP, Device, Peer, attributes
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

Span = tuple[int, int]
"""Where an attribute's payload starts and ends in its message."""


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
        self._peers: dict[bytes, tuple[bytes, dict[int, Span]]] = {}  # the first fragment of each: it says the most
        self._allowed_ips: dict[bytes, list[Prefix]] = {}

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

    def state(self) -> DeviceState:
        peers = (self._peer(raw, *fragment) for raw, fragment in self._peers.items())
        return DeviceState(
            private_key=self._private_key,
            listen_port=self._listen_port,
            fwmark=self._fwmark,
            peers={peer.public_key: peer for peer in peers},
        )

    def _take_peer(self, data: bytes, start: int, end: int) -> None:
        spans = {kind: (first, last) for kind, first, last in attributes(data, start, end)}
        raw = _bytes(data, spans[Peer.PUBLIC_KEY])
        self._peers.setdefault(raw, (data, spans))
        found = self._allowed_ips.setdefault(raw, [])
        if allowed := spans.get(Peer.ALLOWED_IPS):
            found.extend(_allowed_ip(data, first, last) for _, first, last in attributes(data, *allowed))

    def _peer(self, raw: bytes, data: bytes, spans: dict[int, Span]) -> PeerState:
        endpoint, preshared = spans.get(Peer.ENDPOINT), spans.get(Peer.PRESHARED_KEY)
        return PeerState(
            public_key=PublicKey(raw),
            allowed_ips=frozenset(self._allowed_ips[raw]),
            endpoint=self._endpoint(_bytes(data, endpoint)) if endpoint else None,
            persistent_keepalive=_number(_U16, data, spans.get(Peer.PERSISTENT_KEEPALIVE)),
            preshared_key=_preshared_key(_bytes(data, preshared)) if preshared else None,
            last_handshake=_handshake(data, spans.get(Peer.LAST_HANDSHAKE)),
            rx_bytes=_number(_U64, data, spans.get(Peer.RX_BYTES)),
            tx_bytes=_number(_U64, data, spans.get(Peer.TX_BYTES)),
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


def _bytes(data: bytes, span: Span) -> bytes:
    return data[span[0] : span[1]]


def _number(form: Struct, data: bytes, span: Span | None) -> int:
    return int(form.unpack(data[span[0] : span[1]])[0]) if span else 0


def _preshared_key(raw: bytes) -> PresharedKey | None:
    return PresharedKey(raw) if any(raw) else None


def _handshake(data: bytes, span: Span | None) -> float | None:
    """Return a handshake's time; a peer that never had one shows zero."""
    if span is None:
        return None
    seconds, nanoseconds = _TIMESPEC.unpack(data[span[0] : span[1]])
    return seconds + nanoseconds / 1e9 or None


def _allowed_ip(data: bytes, start: int, end: int) -> Prefix:
    address, length = b"", 0
    for kind, first, last in attributes(data, start, end):
        if kind == AllowedIP.ADDRESS:
            address = data[first:last]
        elif kind == AllowedIP.LENGTH:
            length = data[first]
    if len(address) not in {4, 16} or length > 8 * len(address):
        raise ValueError(f"an allowed IP of {len(address)} bytes and {length} bits")
    return Prefix(address, length)
