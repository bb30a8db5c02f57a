"""Peer records as they stand in the bucket: KV keys and JSON, byte for byte those of Ikto 0.3.0."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TypeVar

import msgspec

from ikto_core.values.addressing import Endpoint, Prefix, format_address, parse_address
from ikto_core.values.keys import PublicKey

T = TypeVar("T")

PEER_KEYS = "peers."
"""Every peer record's KV key starts so; other keys are no records."""

MAX_RECORD_BYTES = 16 * 1024
"""A record is some 300 bytes; what is larger than this is not read at all."""

MAX_ENDPOINTS = 16
"""Endpoints beyond this many are not tried: a record can't make a peer dial without end."""

# Go's encoding/json writes these five as escapes; in JSON they occur inside strings only.
_GO_ESCAPES = {"<": r"\u003c", ">": r"\u003e", "&": r"\u0026", "\u2028": r"\u2028", "\u2029": r"\u2029"}


class RecordError(ValueError):
    """A record can't be accepted; the message is the reason its quarantine shows."""


class PeerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One peer's record, checked member by member."""

    name: str
    public_key: PublicKey
    advertise_address: str  # an IP literal, in RFC 5952 form
    allowed_ip: str  # ADDRESS/LENGTH as written; the key is made of this text
    wg_port: int
    endpoints: tuple[Endpoint, ...] = ()  # best first; empty: advertise_address and wg_port
    instance: str = ""  # the run of the agent that wrote it; empty: written by Ikto 0.3.0
    nonce: str = ""  # drawn anew for each write
    agent: str = ""  # program and version that wrote it
    next_public_key: PublicKey | None = None  # that it will have soon (docs/rotation.md); None: none announced
    lease: int = 0  # seconds that the record outlives its node, which renews them (leases.py); 0: for ever
    address: str = ""  # of its device, inside allowed_ip, in RFC 5952 form; empty: not told

    @property
    def subnet(self) -> Prefix:
        """The subnet that the record claims."""
        return Prefix.parse(self.allowed_ip)

    @property
    def key(self) -> str:
        """The KV key that the record belongs under."""
        return record_key(self.allowed_ip)

    @property
    def device_address(self) -> str:
        """The address of the peer's device. 0.3.0 does not tell it apart: it is the one in `allowed_ip`, as written."""
        return self.address or format_address(parse_address(self.allowed_ip.partition("/")[0]))

    @property
    def candidates(self) -> tuple[Endpoint, ...]:
        """Where the peer may be reached, best first; at least one."""
        return self.endpoints or (Endpoint(self.advertise_address, self.wg_port),)


class _Wire(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The JSON members, in the order in which 0.3.0 writes them."""

    name: str
    public_key: str
    advertise_address: str
    allowed_ip: str
    wg_port: int
    endpoints: list[str] = []
    instance: str = ""
    nonce: str = ""
    agent: str = ""
    next_public_key: str = ""
    lease: int = 0
    address: str = ""


class _Owner(msgspec.Struct):
    public_key: str
    instance: str = ""


_decode = msgspec.json.Decoder(_Wire).decode
_encode = msgspec.json.Encoder().encode


def record_key(allowed_ip: str) -> str:
    """Return the KV key of the record whose `allowed_ip` is this text."""
    return PEER_KEYS + urlsafe_b64encode(allowed_ip.encode()).decode()


def allowed_ip_of_key(key: str) -> str:
    """Return the `allowed_ip` text that a KV key stands for; RecordError if it stands for none."""
    try:
        text = urlsafe_b64decode(key.removeprefix(PEER_KEYS).encode("ascii")).decode()
    except (binascii.Error, ValueError):
        raise RecordError("its key is not base64url of an allowed IP") from None
    if record_key(text) != key:
        raise RecordError("its key is not canonical base64url of an allowed IP")
    return text


def subnet_of_key(key: str) -> str | None:
    """Return the subnet that a KV key stands for, as written there; None if it stands for none."""
    with suppress(ValueError):
        Prefix.parse(text := allowed_ip_of_key(key))
        return text
    return None


def encode_record(record: PeerRecord) -> bytes:
    """Return the record's JSON; without the optional members, the very bytes that 0.3.0 writes."""
    text = _encode(
        _Wire(
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
        )
    ).decode()
    for character, escape in _GO_ESCAPES.items():
        text = text.replace(character, escape)
    return text.encode()


def decode_record(key: str, value: bytes) -> PeerRecord:
    """Read the record under `key`; RecordError gives the one reason why it can't be accepted."""
    if len(value) > MAX_RECORD_BYTES:
        raise RecordError(f"its value of {len(value)} bytes is larger than {MAX_RECORD_BYTES}")
    try:
        wire = _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(f"its value is not a peer record: {error}") from None
    if allowed_ip_of_key(key) != wire.allowed_ip:
        raise RecordError(f"its key says {allowed_ip_of_key(key)!r}, its value {wire.allowed_ip[:64]!r}")
    if not 1 <= wire.wg_port <= 65535:
        raise RecordError(f"wg_port {wire.wg_port} is not 1 to 65535")
    return _typed(wire)


def owner_of(value: bytes) -> tuple[str, str] | None:
    """Return public key and instance of a record that can't be accepted, as far as it says; None if it says nothing."""
    try:
        owner = msgspec.json.decode(value[:MAX_RECORD_BYTES], type=_Owner)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return owner.public_key, owner.instance


def _typed(wire: _Wire) -> PeerRecord:
    try:
        subnet = Prefix.parse(wire.allowed_ip)
        return PeerRecord(
            name=wire.name,
            public_key=_member("public_key", PublicKey.parse, wire.public_key),
            advertise_address=format_address(_member("advertise_address", parse_address, wire.advertise_address)),
            allowed_ip=wire.allowed_ip,
            wg_port=wire.wg_port,
            endpoints=tuple(_readable_endpoints(wire.endpoints)),
            instance=wire.instance,
            nonce=wire.nonce,
            agent=wire.agent,
            next_public_key=_readable_key(wire.next_public_key),
            lease=wire.lease,
            address=_address_inside(subnet, wire.address),
        )
    except ValueError as error:
        raise RecordError(str(error)) from None


def _member(name: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise RecordError(f"{name}: {error}") from None


def _readable_key(text: str) -> PublicKey | None:
    """Skip what is no key: the record is good without an announcement."""
    with suppress(ValueError):
        return PublicKey.parse(text)
    return None


def _address_inside(subnet: Prefix, text: str) -> str:
    """Skip what is no address of the subnet: a record tells of nobody else's."""
    with suppress(ValueError):
        address = parse_address(text)
        if subnet.covers(Prefix.of(address, len(address) * 8)):
            return format_address(address)
    return ""


def _readable_endpoints(texts: list[str]) -> Iterator[Endpoint]:
    """Skip what is no `host:port` with an IP literal: a name, a scope of another host, what a later version writes."""
    for text in texts[:MAX_ENDPOINTS]:
        with suppress(ValueError):
            endpoint = Endpoint.parse(text)
            if "%" not in endpoint.host:
                yield endpoint
