"""What the kernel says of a device: messages of the WireGuard generic netlink family as a `DeviceState`. Pure."""

from collections.abc import Iterable
from struct import Struct, error

from msgspec.structs import replace

from ikto_backends.netlink.attributes import HEADER, Device, Peer, attributes
from ikto_backends.netlink.bulk_decode import decode_in_bulk
from ikto_backends.netlink.decode_cache import DecodeCache
from ikto_core.plugins import BackendError, DeviceState, PeerState, PresharedKey, PrivateKey, PublicKey

_U16 = Struct("=H")
_U32 = Struct("=I")
_U64 = Struct("=Q")
_TIMESPEC = Struct("=qq")


def decode(messages: Iterable[bytes], seen: DecodeCache) -> DeviceState:
    """Return what the payloads of one WG_CMD_GET_DEVICE dump say: keys, port, mark and peers; the rest is not theirs.

    A dump splits long peers, and these are put together again.

    Args:
        messages: The attributes of each message, without headers.
        seen: What earlier dumps said, which need not be worked out again.

    Raises BackendError if they are not such messages.

    """
    device = _Device(seen)
    try:
        for message in messages:
            device.take(message)
        return device.state()
    except (ValueError, error, KeyError, IndexError) as mistake:
        raise BackendError(f"netlink: the kernel's answer can't be read: {mistake!r}") from mistake


class _Device:
    """A device, gathered message by message."""

    def __init__(self, seen: DecodeCache) -> None:
        self._seen = seen
        self._private_key: PrivateKey | None = None
        self._listen_port = 0
        self._fwmark = 0
        self._peers: dict[PublicKey, PeerState] = {}

    def state(self) -> DeviceState:
        self._seen.trim(len(self._peers))
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
                self._take_peers(data, start, end)

    def _take_peers(self, data: bytes, start: int, end: int) -> None:
        """Take a message's peers, all at once if possible; but the first one may be the rest of a split peer."""
        for number, (_, first, last) in enumerate(attributes(data, start, end)):
            if number < 2 and self._take_usual(data, first - HEADER.size, end):
                return
            self._take_peer(data, first, last)

    def _take_usual(self, data: bytes, start: int, end: int) -> bool:
        peers = decode_in_bulk(data, start, end, self._seen)
        if peers is None or not self._peers.keys().isdisjoint(peers):
            return False
        self._peers |= peers
        return True

    def _take_peer(self, data: bytes, start: int, end: int) -> None:
        """Take a peer; of its fragments the first says all, the others only more allowed IPs."""
        said = {kind: data[first:last] for kind, first, last in attributes(data, start, end)}
        public_key = PublicKey(said[Peer.PUBLIC_KEY])
        allowed_ips = self._seen.allowed_ips[said.get(Peer.ALLOWED_IPS, b"")]
        if known := self._peers.get(public_key):
            self._peers[public_key] = replace(known, allowed_ips=known.allowed_ips | allowed_ips)
            return
        preshared_key = said.get(Peer.PRESHARED_KEY, b"")
        self._peers[public_key] = PeerState(
            public_key=public_key,
            allowed_ips=allowed_ips,
            endpoint=self._seen.endpoints[said.get(Peer.ENDPOINT, b"")],
            persistent_keepalive=_number(_U16, said.get(Peer.PERSISTENT_KEEPALIVE)),
            preshared_key=PresharedKey(preshared_key) if any(preshared_key) else None,
            last_handshake=_time(said.get(Peer.LAST_HANDSHAKE, bytes(_TIMESPEC.size))),
            rx_bytes=_number(_U64, said.get(Peer.RX_BYTES)),
            tx_bytes=_number(_U64, said.get(Peer.TX_BYTES)),
        )


def _number(form: Struct, raw: bytes | None) -> int:
    return int(form.unpack(raw)[0]) if raw else 0


def _time(raw: bytes) -> float | None:
    """Return a handshake's time; a peer that never had one shows zero."""
    seconds, nanoseconds = _TIMESPEC.unpack(raw)
    return seconds + nanoseconds / 1e9 or None
