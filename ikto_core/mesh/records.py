"""Peer records in the bucket: KV keys and JSON values, byte for byte compatible with Ikto 0.3.0."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import TypeVar

import msgspec
from msgspec import Raw

from ikto_core.mesh.record_members import LENIENT, Members, decode_members, encode_json, read_lenient
from ikto_core.values.addressing import Endpoint, Prefix, format_address, parse_address
from ikto_core.values.keys import PublicKey

T = TypeVar("T")

PEER_KEYS = "peers."
"""Prefix of the KV key of every peer record; other keys are not peer records."""

MAX_RECORD_BYTES = 16 * 1024
"""Larger values are refused without being parsed; a record is about 300 bytes."""

MAX_BRACKETS = 500
"""Values with more opening brackets are refused without being parsed. Nodes must agree on which records are
valid, and how deep a parser can go depends on the version of Python."""

MAX_ENDPOINTS = 16
"""Further endpoints of a record are ignored, so that a record can't make peers try an unlimited number of them."""

# Go's encoding/json escapes these five characters; in JSON they occur only inside strings.
_GO_ESCAPES = {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}


class RecordError(ValueError):
    """A record is invalid; the message is the reason that its quarantine shows."""


class PeerRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A peer record whose members were all checked."""

    name: str
    public_key: PublicKey
    advertise_address: str  # an IP literal, in RFC 5952 form
    allowed_ip: str  # ADDRESS/LENGTH as written; the KV key encodes this text
    wg_port: int
    endpoints: tuple[Endpoint, ...] = ()  # best first; empty: use advertise_address and wg_port
    instance: str = ""  # identifies the run of the agent that wrote it; empty: written by Ikto 0.3.0
    nonce: str = ""  # random, new for each write
    agent: str = ""  # program and version that wrote it
    next_public_key: PublicKey | None = None  # the key that it will switch to (docs/rotation.md); None: none announced
    lease: int = 0  # seconds until the record expires unless its node renews it (lease/policy.py); 0: never
    address: str = ""  # of its device, inside allowed_ip, in RFC 5952 form; empty: not announced
    left: bool = False  # its node has given the subnet up; the record is no peer's
    draining: bool = False  # its node is about to leave: peers start no session with it of their own accord
    successions: tuple[str, ...] = ()  # statements of former keys, oldest first (mesh/proofs.py)
    serial: int = 0  # grows with each write of this installation; 0: none, as without a proof
    user_jwt: str = ""  # of its node's NATS user (mesh/rights.py); empty: none

    @property
    def subnet(self) -> Prefix:
        """The subnet that the record claims."""
        return Prefix.parse(self.allowed_ip)

    @property
    def key(self) -> str:
        """The KV key of the record."""
        return record_key(self.allowed_ip)

    @property
    def device_address(self) -> str:
        """The address of the peer's device; in a record of 0.3.0 it is the address in `allowed_ip`, as written."""
        return self.address or format_address(parse_address(self.allowed_ip.partition("/")[0]))

    @property
    def candidates(self) -> tuple[Endpoint, ...]:
        """The endpoint candidates of the peer, best first; at least one."""
        return self.endpoints or (Endpoint(self.advertise_address, self.wg_port),)


def record_key(allowed_ip: str) -> str:
    """Return the KV key of the record with this `allowed_ip` text."""
    return PEER_KEYS + urlsafe_b64encode(allowed_ip.encode()).decode()


def allowed_ip_of_key(key: str) -> str:
    """Return the `allowed_ip` text that a KV key encodes; RecordError if the key is malformed."""
    try:
        text = urlsafe_b64decode(key.removeprefix(PEER_KEYS).encode("ascii")).decode()
    except (binascii.Error, ValueError):
        raise RecordError("its key is not base64url of an allowed IP") from None
    if record_key(text) != key:
        raise RecordError("its key is not canonical base64url of an allowed IP")
    return text


def subnet_of_key(key: str) -> str | None:
    """Return the subnet that a KV key encodes, as written there; None if the key does not encode a subnet."""
    with suppress(ValueError):
        Prefix.parse(text := allowed_ip_of_key(key))
        return text
    return None


def encode_record(record: PeerRecord) -> bytes:
    """Return the record's JSON; without the optional members, the same bytes that 0.3.0 writes."""
    text = encode_json(
        Members(
            name=record.name,
            public_key=record.public_key.text,
            advertise_address=record.advertise_address,
            allowed_ip=record.allowed_ip,
            wg_port=record.wg_port,
            endpoints=[str(endpoint) for endpoint in record.endpoints],
            instance=record.instance,
            nonce=record.nonce,
            agent=record.agent,
            next_public_key=record.next_public_key.text if record.next_public_key else "",
            lease=record.lease,
            address=record.address,
            **{name: Raw(encode_json(value)) for name in LENIENT if (value := getattr(record, name))},
        )
    ).decode()
    for character, escape in _GO_ESCAPES.items():
        text = text.replace(character, escape)
    return text.encode()


def readable_record(key: str, value: bytes | None) -> PeerRecord | None:
    """Return the record stored under `key`; None: there is none, or it can't be decoded."""
    try:
        return decode_record(key, value) if value else None
    except RecordError:
        return None


def decode_record(key: str, value: bytes) -> PeerRecord:
    """Decode the record stored under `key`; RecordError gives the reason if it is invalid."""
    if len(value) > MAX_RECORD_BYTES:
        raise RecordError(f"its value of {len(value)} bytes is larger than {MAX_RECORD_BYTES}")
    if bracket_count(value) > MAX_BRACKETS:
        raise RecordError(f"its value is not a peer record: it has more than {MAX_BRACKETS} opening brackets")
    try:
        wire = decode_members(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"its value is not a peer record: {error}") from None
    if record_key(wire.allowed_ip) != key:
        raise RecordError(
            f"its key encodes {allowed_ip_of_key(key)!r}, its value has allowed_ip {wire.allowed_ip[:64]!r}"
        )
    if not 1 <= wire.wg_port <= 65535:
        raise RecordError(f"wg_port {wire.wg_port} is not 1 to 65535")
    return _to_record(wire)


def bracket_count(value: bytes) -> int:
    """Return an upper bound of the depth to which a value is nested."""
    return value.count(b"[") + value.count(b"{")


@lru_cache(maxsize=64)
def _shared(agent: str) -> str:
    """Return the same text for equal ones: most records have one of a few. `sys.intern` keeps all in Python 3.12."""
    return agent


def _to_record(wire: Members) -> PeerRecord:
    try:
        subnet = Prefix.parse(wire.allowed_ip)
        return PeerRecord(
            name=wire.name,
            public_key=_parse_member("public_key", PublicKey.parse, wire.public_key),
            advertise_address=format_address(_parse_member("advertise_address", parse_address, wire.advertise_address)),
            allowed_ip=wire.allowed_ip,
            wg_port=wire.wg_port,
            endpoints=tuple(_parse_endpoints(wire.endpoints)) if wire.endpoints else (),
            instance=wire.instance,
            nonce=wire.nonce,
            agent=_shared(wire.agent),
            next_public_key=_parse_next_key(wire.next_public_key),
            lease=wire.lease,
            address=_parse_address_in(subnet, wire.address),
            **read_lenient(wire),
        )
    except ValueError as error:
        raise RecordError(str(error)) from None


def _parse_member(name: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise RecordError(f"{name}: {error}") from None


def _parse_next_key(text: str) -> PublicKey | None:
    """Return the key; None if the text is not one, because the record is valid without an announcement."""
    try:
        return PublicKey.parse(text) if text else None
    except ValueError:
        return None


def _parse_address_in(subnet: Prefix, text: str) -> str:
    """Return the address in RFC 5952 form; empty if the text is not an address inside the record's own subnet."""
    try:
        address = parse_address(text) if text else b""
    except ValueError:
        return ""
    return format_address(address) if subnet.contains(address) else ""


def _parse_endpoints(texts: list[str]) -> Iterator[Endpoint]:
    """Yield the valid endpoints. Host names, scopes of another host and forms of later versions are skipped."""
    for text in texts[:MAX_ENDPOINTS]:
        with suppress(ValueError):
            endpoint = Endpoint.parse(text)
            if "%" not in endpoint.host:
                yield endpoint
