"""Parses the output of `wg show IFNAME dump`. Pure and strict: anything unknown is an error."""

import re
from collections.abc import Mapping, Set

from ikto_core.device.model import DeviceState, PeerState
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PrivateKey, PublicKey

_NONE = "(none)"
_OFF = "off"
_HEX = re.compile("0x[0-9a-f]{1,8}")
MAX_U16, MAX_U32, MAX_U64 = 2**16 - 1, 2**32 - 1, 2**64 - 1


def parse_dump(text: str) -> DeviceState:
    """Return the device without its link (MTU, addresses, up or down). ValueError names the line that is invalid.

    The first line has private key, public key, listen port, fwmark. Each other line is a peer: public key, preshared
    key, endpoint, allowed IPs, latest handshake, bytes received and sent, keepalive (wg(8), "show").
    """
    first, *rest = text.splitlines() or [""]
    peers = [_parse_peer(number, line) for number, line in enumerate(rest, start=2)]
    private_key, _, listen_port, fwmark = _fields(1, first, 4)
    try:
        return DeviceState(
            private_key=None if private_key == _NONE else PrivateKey.parse(private_key),
            listen_port=number(listen_port, MAX_U16),
            fwmark=0 if fwmark == _OFF else _hex_number(fwmark, MAX_U32),
            peers={peer.public_key: peer for peer in peers},
        )
    except ValueError as error:
        raise ValueError(f"line 1: {error}") from None


def parse_peers(text: str, keys: Set[PublicKey]) -> Mapping[PublicKey, PeerState]:
    """Return those of these peers that a dump contains; the lines of the others are not parsed. Errors as above."""
    wanted = {key.text for key in keys}
    lines = enumerate(text.splitlines()[1:], start=2)
    found = (_parse_peer(number, line) for number, line in lines if line.partition("\t")[0] in wanted)
    return {peer.public_key: peer for peer in found}


def parse_keys(text: str) -> frozenset[PublicKey]:
    """Return the public keys that `wg show IFNAME peers` prints; ValueError if a line is none."""
    return frozenset(PublicKey.parse(line) for line in text.splitlines())


def _parse_peer(number: int, line: str) -> PeerState:
    fields = _fields(number, line, 8)
    try:
        return _peer_of(*fields)
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def _peer_of(  # noqa: PLR0917 - the columns of a line
    public_key: str, preshared: str, endpoint: str, allowed: str, handshake: str, rx: str, tx: str, keepalive: str
) -> PeerState:
    return PeerState(
        public_key=PublicKey.parse(public_key),
        preshared_key=None if preshared == _NONE else PresharedKey.parse(preshared),
        endpoint=None if endpoint == _NONE else Endpoint.parse(endpoint),
        allowed_ips=frozenset(() if allowed == _NONE else map(Prefix.parse, allowed.split(","))),
        last_handshake=float(number(handshake)) or None,
        rx_bytes=number(rx),
        tx_bytes=number(tx),
        persistent_keepalive=0 if keepalive == _OFF else number(keepalive, MAX_U16),
    )


def _fields(number: int, line: str, count: int) -> list[str]:
    fields = line.split("\t")
    if len(fields) != count:  # never print the line itself: it contains keys
        raise ValueError(f"line {number}: {len(fields)} columns, expected {count}")
    return fields


def number(text: str, most: int = MAX_U64) -> int:
    """Return a number that is 0 to `most`; ValueError if the text is anything else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= most):
        raise ValueError(f"{text[:32]!r} is not a number up to {most}")
    return int(text)


def _hex_number(text: str, most: int) -> int:
    if not (_HEX.fullmatch(text) and int(text, 16) <= most):
        raise ValueError(f"{text[:32]!r} is not a hexadecimal number up to {most:#x}")
    return int(text, 16)
