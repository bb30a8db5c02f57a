"""Decodes the kernel's dump of a WireGuard device into a `DeviceState`. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Set
from struct import Struct, error

from msgspec.structs import replace

from ikto_backends.netlink.attributes import HEADER, NESTED, Device, Peer, attribute, attributes
from ikto_backends.netlink.bulk_decode import decode_in_bulk
from ikto_backends.netlink.decode_cache import DecodeCache
from ikto_core.plugins import BackendError, DeviceState, PeerState, PresharedKey, PrivateKey, PublicKey

_U16 = Struct("=H")
_U32 = Struct("=I")
_U64 = Struct("=Q")
_TIMESPEC = Struct("=qq")
_KEY_HEADER = HEADER.pack(36, Peer.PUBLIC_KEY)
_FEW_KEYS = 20  # searching a message for this many keys takes as long as going through its peers


def decode(messages: Iterable[bytes], cache: DecodeCache) -> DeviceState:
    """Return the private key, listen port, fwmark and peers that one WG_CMD_GET_DEVICE dump contains.

    MTU, addresses and link state are not part of the dump and keep their defaults. A peer that the dump splits over
    several messages is joined again.

    Args:
        messages: The attributes of each message, without headers.
        cache: Decoded endpoints and allowed IPs of earlier dumps.

    Raises BackendError if the messages can't be decoded.

    """
    device = _Device(cache)
    try:
        for message in messages:
            device.add_message(message)
        return device.state()
    except (ValueError, error, KeyError, IndexError) as cause:
        raise BackendError(f"netlink: can't decode the kernel's answer: {cause!r}") from cause


def decode_peers(messages: Iterable[bytes], keys: Set[PublicKey], cache: DecodeCache) -> Mapping[PublicKey, PeerState]:
    """Return those of these peers that one WG_CMD_GET_DEVICE dump contains; the others are not decoded.

    Use another cache than for `decode`, which would lose the entries of all the other peers.

    Raises BackendError if the messages can't be decoded.

    """
    return decode(_only_peers(messages, keys), cache).peers


def _only_peers(messages: Iterable[bytes], keys: Set[bytes]) -> Iterator[bytes]:
    """Yield the peers with these keys, encoded as in the messages, and nothing else of the device."""
    for data in messages:
        if len(keys) > _FEW_KEYS or any(key in data for key in keys):
            for kind, start, end in attributes(data):
                if kind == Device.PEERS:
                    peers = (found for _, *found in attributes(data, start, end) if _key(data, *found) in keys)
                    yield attribute(kind, b"".join(attribute(NESTED, data[first:last]) for first, last in peers))


def _key(data: bytes, start: int, end: int) -> bytes:
    """Return the public key of the encoded peer between two offsets, the first one if there are several.

    It is the first attribute in Linux's layout. Empty: the peer has none.
    """
    if data.startswith(_KEY_HEADER, start, end):
        return data[start + HEADER.size : start + len(_KEY_HEADER) + 32]
    found = (data[first:last] for kind, first, last in attributes(data, start, end) if kind == Peer.PUBLIC_KEY)
    return next(found, b"")


class _Device:
    """Collects a device message by message."""

    def __init__(self, cache: DecodeCache) -> None:
        self._cache = cache
        self._private_key: PrivateKey | None = None
        self._listen_port = 0
        self._fwmark = 0
        self._peers: dict[PublicKey, PeerState] = {}

    def state(self) -> DeviceState:
        self._cache.trim(len(self._peers))
        return DeviceState(
            private_key=self._private_key,
            listen_port=self._listen_port,
            fwmark=self._fwmark,
            peers=self._peers,
        )

    def add_message(self, data: bytes) -> None:
        for kind, start, end in attributes(data):
            if kind == Device.PRIVATE_KEY:
                raw = data[start:end]
                self._private_key = PrivateKey(raw) if any(raw) else None
            elif kind == Device.LISTEN_PORT:
                (self._listen_port,) = _U16.unpack(data[start:end])
            elif kind == Device.FWMARK:
                (self._fwmark,) = _U32.unpack(data[start:end])
            elif kind == Device.PEERS:
                self._add_peers(data, start, end)

    def _add_peers(self, data: bytes, start: int, end: int) -> None:
        """Add a message's peers in bulk if possible. The first one may be the rest of a split peer, so try it twice."""
        for number, (_, first, last) in enumerate(attributes(data, start, end)):
            if number < 2 and self._add_in_bulk(data, first - HEADER.size, end):
                return
            self._add_peer(data, first, last)

    def _add_in_bulk(self, data: bytes, start: int, end: int) -> bool:
        peers = decode_in_bulk(data, start, end, self._cache)
        if peers is None or not self._peers.keys().isdisjoint(peers):
            return False
        self._peers |= peers
        return True

    def _add_peer(self, data: bytes, start: int, end: int) -> None:
        """Add one peer. Its first fragment has all attributes, later ones only more allowed IPs."""
        fields = {kind: data[first:last] for kind, first, last in attributes(data, start, end)}
        public_key = PublicKey(_key(data, start, end))
        allowed_ips = self._cache.allowed_ips[fields.get(Peer.ALLOWED_IPS, b"")]
        if earlier := self._peers.get(public_key):
            self._peers[public_key] = replace(earlier, allowed_ips=earlier.allowed_ips | allowed_ips)
            return
        preshared_key = fields.get(Peer.PRESHARED_KEY, b"")
        self._peers[public_key] = PeerState(
            public_key=public_key,
            allowed_ips=allowed_ips,
            endpoint=self._cache.endpoints[fields.get(Peer.ENDPOINT, b"")],
            persistent_keepalive=_number(_U16, fields.get(Peer.PERSISTENT_KEEPALIVE)),
            preshared_key=PresharedKey(preshared_key) if any(preshared_key) else None,
            last_handshake=_time(fields.get(Peer.LAST_HANDSHAKE, bytes(_TIMESPEC.size))),
            rx_bytes=_number(_U64, fields.get(Peer.RX_BYTES)),
            tx_bytes=_number(_U64, fields.get(Peer.TX_BYTES)),
        )


def _number(layout: Struct, raw: bytes | None) -> int:
    return int(layout.unpack(raw)[0]) if raw else 0


def _time(raw: bytes) -> float | None:
    """Return the time of a handshake in seconds since the epoch; None for zero, which means never."""
    seconds, nanoseconds = _TIMESPEC.unpack(raw)
    return seconds + nanoseconds / 1e9 or None
