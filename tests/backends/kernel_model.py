"""A small model of the kernel's side of WireGuard's netlink family, written from the kernel's source.

It follows wg_set_device and wg_get_device_dump of drivers/net/wireguard/netlink.c, and uses no code of the backend.
"""

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

REMOVE_ME, REPLACE_ALLOWEDIPS, UPDATE_ONLY = 1, 2, 4

Peer = dict[str, Any]


def parse(blob: bytes) -> list[tuple[int, bytes]]:
    """Split attributes as the kernel does, and fail as it would for a bad length or missing padding."""
    found = []
    while blob:
        assert len(blob) >= 4
        length, kind = struct.unpack("=HH", blob[:4])
        assert 4 <= length <= len(blob)
        found.append((kind & 0x7FFF, blob[4:length]))
        padded = (length + 3) // 4 * 4
        assert padded <= len(blob)
        assert not any(blob[length:padded])
        blob = blob[padded:]
    return found


class KernelModel:
    """One device as plain values, changed by netlink messages."""

    def __init__(self) -> None:
        self.private_key = bytes(32)
        self.listen_port = self.fwmark = 0
        self.peers: dict[bytes, Peer] = {}
        self.log: list[tuple[bytes, int]] = []  # the key and flags of each peer written, in order

    def set_device(self, message: bytes) -> None:
        device = dict(parse(message))
        assert device[2].endswith(b"\0")
        self.private_key = device.get(3, self.private_key)
        if 5 in device and struct.unpack("=I", device[5])[0] & 1:
            self.peers.clear()
        if 6 in device:
            (self.listen_port,) = struct.unpack("=H", device[6])
        if 7 in device:
            (self.fwmark,) = struct.unpack("=I", device[7])
        for _, blob in parse(device.get(8, b"")):
            self._set_peer(dict(parse(blob)))

    def _set_peer(self, given: dict[int, bytes]) -> None:
        key, flags = given[1], struct.unpack("=I", given.get(3, bytes(4)))[0]
        assert len(key) == 32
        self.log.append((key, flags))
        if flags & REMOVE_ME:
            self.peers.pop(key, None)
            return
        if key not in self.peers:
            if flags & UPDATE_ONLY:
                return
            unused = {"handshake": (0, 0), "tx": 0, "rx": 0}
            self.peers[key] = {"psk": bytes(32), "endpoint": None, "keepalive": 0, "allowed": set(), **unused}
        peer = self.peers[key]
        peer["psk"] = given.get(2, peer["psk"])
        peer["endpoint"] = given.get(4, peer["endpoint"])
        if 5 in given:
            (peer["keepalive"],) = struct.unpack("=H", given[5])
        if flags & REPLACE_ALLOWEDIPS:
            peer["allowed"].clear()
        for _, blob in parse(given.get(9, b"")):
            self._give(key, dict(parse(blob)))

    def _give(self, key: bytes, allowed: dict[int, bytes]) -> None:
        (family,), (bits,) = struct.unpack("=H", allowed[1]), allowed[3]
        assert len(allowed[2]) == {2: 4, 10: 16}[family]
        network = ipaddress.ip_network((allowed[2], bits), strict=False)
        for peer in self.peers.values():
            peer["allowed"].discard(network)
        self.peers[key]["allowed"].add(network)

    def dump(self, room: int, *, counters: bool = True) -> Iterator[bytes]:
        """Yield the messages of a dump, each with at most `room` bytes of peers. Long peers are split."""
        head = attr(1, struct.pack("=I", 7)) + attr(2, b"wg0\0")
        if any(self.private_key):
            head += attr(3, self.private_key) + attr(4, bytes(32))
        head += attr(6, struct.pack("=H", self.listen_port)) + attr(7, struct.pack("=I", self.fwmark))
        blob = b""
        for key, peer in self.peers.items():
            for fragment in fragments(key, peer, room, counters=counters):
                if blob and len(blob) + len(fragment) > room:
                    yield head + attr(8 | 0x8000, blob)
                    head, blob = b"", b""
                blob += fragment
        yield head + (attr(8 | 0x8000, blob) if blob else b"")


def fragments(key: bytes, peer: Peer, room: int, *, counters: bool) -> Iterator[bytes]:
    body = attr(1, key) + attr(2, peer["psk"])
    if counters:
        body += attr(6, struct.pack("=qq", *peer["handshake"])) + attr(5, struct.pack("=H", peer["keepalive"]))
        body += attr(8, struct.pack("=Q", peer["tx"])) + attr(7, struct.pack("=Q", peer["rx"]))
        body += attr(10, struct.pack("=I", 1))
    if peer["endpoint"]:
        body += attr(4, peer["endpoint"])
    blob = b""
    for network in peer["allowed"]:
        one = attr(0x8000, allowed_ip(network))
        if blob and len(body) + len(blob) + len(one) + 8 > room:
            yield attr(0x8000, body + attr(9 | 0x8000, blob))
            body, blob = attr(1, key), b""
        blob += one
    yield attr(0x8000, body + (attr(9 | 0x8000, blob) if blob else b""))


def allowed_ip(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bytes:
    family = 2 if network.version == 4 else 10
    length = attr(3, bytes([network.prefixlen]))
    return length + attr(1, struct.pack("=H", family)) + attr(2, network.network_address.packed)


def attr(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + b"\0" * (-len(payload) % 4)
