"""Hypothesis strategies for Ikto's values, limited to what a real device accepts.

A drawn value can be written to any WireGuard device and reads back the same: private keys are clamped, endpoints are
unicast, and a device's addresses are private ones that differ by more than their prefix length.
"""

from collections.abc import Mapping
from ipaddress import IPv4Interface, IPv6Interface

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from msgspec.structs import replace

from ikto_core.device.model import DeviceSpec, DeviceState, Interface, PeerSpec, PeerState
from ikto_core.mesh.records import PeerRecord
from ikto_core.values.addressing import Endpoint, Prefix, format_address
from ikto_core.values.keys import PresharedKey, PrivateKey, PublicKey

_KEY_BYTES = st.binary(min_size=32, max_size=32).filter(any)
_PORTS = st.integers(1, 65535)
_PRIVATE_4 = Prefix.parse("10.0.0.0/8")
_PRIVATE_6 = Prefix.parse("fd00::/8")
_UNICAST_4 = Prefix.parse("64.0.0.0/2")
_UNICAST_6 = Prefix.parse("2000::/3")


def private_keys() -> SearchStrategy[PrivateKey]:
    """Draw a private key, clamped as in RFC 7748 section 5."""
    return _KEY_BYTES.map(lambda raw: PrivateKey(raw).clamped())


def public_keys() -> SearchStrategy[PublicKey]:
    """Draw a public key: any 32 bytes except all zero."""
    return _KEY_BYTES.map(PublicKey)


def preshared_keys() -> SearchStrategy[PresharedKey]:
    """Draw a preshared key: any 32 bytes except all zero, which means none."""
    return _KEY_BYTES.map(PresharedKey)


@st.composite
def addresses_in(draw: DrawFn, subnet: Prefix) -> bytes:
    """Draw a packed address in `subnet`. With two or more host bits they are not all zero."""
    host_bits = subnet.bits - subnet.length
    host = draw(st.integers(1 if host_bits > 1 else 0, max((1 << host_bits) - 2, 0)))
    return (int.from_bytes(subnet.address, "big") + host).to_bytes(len(subnet.address), "big")


@st.composite
def subnets_of(draw: DrawFn, subnet: Prefix, length: int | None = None) -> Prefix:
    """Draw a subnet of `subnet` with prefix length `length`, or with any prefix length."""
    if length is None:
        length = draw(st.integers(subnet.length, subnet.bits))
    number = draw(st.integers(0, (1 << length - subnet.length) - 1)) << subnet.bits - length
    address = int.from_bytes(subnet.address, "big") + number
    return Prefix.of(address.to_bytes(len(subnet.address), "big"), length)


def prefixes() -> SearchStrategy[Prefix]:
    """Draw any prefix of either family, default routes included."""
    return subnets_of(Prefix.parse("0.0.0.0/0")) | subnets_of(Prefix.parse("::/0"))


def endpoints() -> SearchStrategy[Endpoint]:
    """Draw a unicast endpoint of either family, without a scope."""
    hosts = addresses_in(_UNICAST_4) | addresses_in(_UNICAST_6) | addresses_in(_PRIVATE_6)
    return st.builds(Endpoint, hosts.map(format_address), _PORTS)


@st.composite
def interfaces(draw: DrawFn) -> Interface:
    """Draw a private interface address with a prefix length."""
    if draw(st.booleans()):
        return IPv4Interface((draw(addresses_in(_PRIVATE_4)), draw(st.integers(8, 30))))
    return IPv6Interface((draw(addresses_in(_PRIVATE_6)), draw(st.integers(8, 126))))


def peer_specs(public_key: SearchStrategy[PublicKey] | None = None) -> SearchStrategy[PeerSpec]:
    """Draw a peer with a key from `public_key`, or with any key."""
    return st.builds(
        PeerSpec,
        public_key=public_keys() if public_key is None else public_key,
        allowed_ips=st.frozensets(prefixes(), max_size=4),
        endpoint=st.none() | endpoints(),
        persistent_keepalive=st.integers(0, 65535),
        preshared_key=st.none() | preshared_keys(),
    )


@st.composite
def peer_maps(
    draw: DrawFn,
    public_key: SearchStrategy[PublicKey] | None = None,
    prefix: SearchStrategy[Prefix] | None = None,
    *,
    max_size: int = 5,
) -> Mapping[PublicKey, PeerSpec]:
    """Draw the peers of one device. No allowed IP belongs to two of them."""
    keys = draw(st.lists(public_keys() if public_key is None else public_key, max_size=max_size, unique=True))
    pool = draw(st.lists(prefixes() if prefix is None else prefix, max_size=2 * max_size, unique=True))
    owners = [draw(st.integers(0, max_size)) for _ in pool]
    return {
        key: PeerSpec(
            public_key=key,
            allowed_ips=frozenset(prefix for prefix, owner in zip(pool, owners, strict=True) if owner == number),
            endpoint=draw(st.none() | endpoints()),
            persistent_keepalive=draw(st.integers(0, 65535)),
            preshared_key=draw(st.none() | preshared_keys()),
        )
        for number, key in enumerate(keys)
    }


def device_specs(
    *,
    peers: SearchStrategy[Mapping[PublicKey, PeerSpec]] | None = None,
    listen_port: SearchStrategy[int] = _PORTS,
) -> SearchStrategy[DeviceSpec]:
    """Draw the spec of a device with peers from `peers`, or with any peers."""
    return st.builds(
        DeviceSpec,
        private_key=private_keys(),
        listen_port=listen_port,
        addresses=st.lists(interfaces(), max_size=3, unique_by=lambda interface: interface.ip).map(frozenset),
        peers=peer_maps() if peers is None else peers,
        fwmark=st.integers(0, 0xFFFF_FFFF),
        mtu=st.none() | st.integers(1280, 1500),
    )


def device_states(*, peers: SearchStrategy[Mapping[PublicKey, PeerSpec]] | None = None) -> SearchStrategy[DeviceState]:
    """Draw the state of a device as a backend may read it, new and empty ones included, with peers from `peers`."""
    shown = (peer_maps() if peers is None else peers).map(
        lambda specs: {key: _shown(spec) for key, spec in specs.items()}
    )
    return st.builds(
        DeviceState,
        private_key=st.none() | private_keys(),
        listen_port=st.integers(0, 65535),
        fwmark=st.integers(0, 0xFFFF_FFFF),
        mtu=st.integers(1280, 1500),
        up=st.booleans(),
        addresses=st.lists(interfaces(), max_size=3, unique_by=lambda interface: interface.ip).map(frozenset),
        peers=shown,
    )


def _shown(spec: PeerSpec) -> PeerState:
    return PeerState(
        public_key=spec.public_key,
        allowed_ips=spec.allowed_ips,
        endpoint=spec.endpoint,
        persistent_keepalive=spec.persistent_keepalive,
        preshared_key=spec.preshared_key,
    )


def peer_records(subnet: SearchStrategy[Prefix] | None = None) -> SearchStrategy[PeerRecord]:
    """Draw a record in canonical form with a subnet from `subnet`, or with any subnet."""
    texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    plain = st.builds(
        PeerRecord,
        name=texts,
        public_key=public_keys(),
        advertise_address=endpoints().map(lambda endpoint: endpoint.host),
        allowed_ip=(prefixes() if subnet is None else subnet).map(str),
        wg_port=_PORTS,
        endpoints=st.lists(endpoints(), max_size=3).map(tuple),
        instance=texts,
        nonce=texts,
        agent=texts,
        next_public_key=st.none() | public_keys(),
        lease=st.integers(0, 2**40),
    )
    return st.builds(_with_address, plain, st.none() | st.integers(0))


def _with_address(record: PeerRecord, number: int | None) -> PeerRecord:
    """Return the record with an address of its subnet, or unchanged if `number` is None."""
    if number is None:
        return record
    subnet = record.subnet
    offset = number % (1 << subnet.bits - subnet.length)
    address = (int.from_bytes(subnet.address, "big") + offset).to_bytes(len(subnet.address), "big")
    return replace(record, address=format_address(address))
