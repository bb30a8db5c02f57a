"""The codec of WireGuard's netlink family, tested with a model of the kernel's parser that shares no code with it."""

import struct
from ipaddress import ip_interface

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_backends.netlink.common_peer import encode_common_peer
from ikto_backends.netlink.decode import decode
from ikto_backends.netlink.decode_cache import DecodeCache
from ikto_backends.netlink.encode import SMALLEST_MESSAGE_BYTES, encode_clear, encode_patch
from ikto_core.device.diff import diff, patched
from ikto_core.device.model import NO_PRESHARED_KEY, DevicePatch, DeviceSpec, DeviceState, PeerPatch
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, peer_of, public_key_of, spec_of, spec_pairs, without_counters
from ikto_core.testing.strategies import preshared_keys, private_keys
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PrivateKey
from tests.backends.kernel_model import REMOVE_ME, REPLACE_ALLOWEDIPS, UPDATE_ONLY, KernelModel, attr

SCOPES = {"eth0": 2, "wlan-of-15-byte": 3}
NAMES = {number: name for name, number in SCOPES.items()}
LIMITS = st.integers(SMALLEST_MESSAGE_BYTES, 1024) | st.integers(1025, 65535)


def write(kernel: KernelModel, patch: DevicePatch, limit: int = 16384) -> list[bytes]:
    messages = encode_patch("wg0", patch, limit, scope_id=SCOPES.__getitem__)
    for message in messages:
        assert len(message) <= limit
        kernel.set_device(message)
    return messages


def read(kernel: KernelModel, room: int = 4000) -> DeviceState:
    return decode(kernel.dump(room), DecodeCache(NAMES.__getitem__))


def wireguard_part(spec: DeviceSpec, before: DeviceState) -> DeviceState:
    patch = diff(spec, before)
    return DeviceState(
        private_key=spec.private_key,
        listen_port=spec.listen_port,
        fwmark=spec.fwmark,
        peers={key: patched(before.peers.get(key), by_key(patch, key)) for key in spec.peers},
    )


def by_key(patch: DevicePatch, key: bytes) -> PeerPatch:
    return next((p for p in patch.peers if p.public_key == key), PeerPatch(public_key=public_key_of(1)))


@given(specs=spec_pairs(range(1, 9)), limit=LIMITS, room=st.integers(300, 5000))
def test_any_device_can_be_changed_to_any_other_in_messages_of_any_size(
    specs: tuple[DeviceSpec, DeviceSpec], limit: int, room: int
) -> None:
    kernel = KernelModel()
    for spec in specs:
        before = read(kernel, room)
        wanted = wireguard_part(spec, before)
        write(kernel, diff(spec, before), limit)
        after = read(kernel, room)
        assert after.peers.keys() == wanted.peers.keys()
        for key, peer in wanted.peers.items():
            assert without_counters(after).peers[key] == replace(peer, public_key=key)
        assert replace(after, peers={}) == replace(wanted, peers={})


@pytest.mark.parametrize("limit", [0, 256, 257, 300, 1000, 4096, 16384, 65535, 1 << 20])
def test_a_peer_with_600_allowed_ips_is_split_and_joined_again(limit: int) -> None:
    kernel = KernelModel()
    many = frozenset(Prefix.parse(f"fd10:{n:x}::/32") for n in range(300)) | {
        Prefix.parse(f"10.{n}.0.0/16") for n in range(256)
    } | {Prefix.parse(f"11.{n}.0.0/16") for n in range(44)}  # fmt: skip
    patch = DevicePatch(peers=(create(1), replace(create(2), allowed_ips=many), create(3)))
    write(kernel, patch, max(limit, SMALLEST_MESSAGE_BYTES) if limit < 1 << 16 else limit)
    assert len(many) == 600
    for room in (300, 4000, 30000):
        assert read(kernel, room).peers[public_key_of(2)].allowed_ips == many
    assert len(read(kernel).peers) == 3


@pytest.mark.parametrize("limit", range(256, 420))
def test_every_attribute_is_written_at_every_limit(limit: int) -> None:
    kernel = KernelModel()
    allowed = frozenset(Prefix.parse(f"10.{n}.0.0/16") for n in range(9)) | {Prefix.parse("fd00::/8")}
    peers = (replace(create(1), allowed_ips=allowed), create(3), create(6))
    device = DevicePatch(private_key=PrivateKey(bytes([8] * 32)), listen_port=5, fwmark=6, peers=peers)
    write(kernel, device, limit)
    state = read(kernel)
    assert (state.listen_port, state.fwmark) == (5, 6)
    assert state.peers[public_key_of(1)].allowed_ips == allowed
    assert state.peers[public_key_of(6)].preshared_key == peer_of(6).preshared_key


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
@pytest.mark.parametrize("prefix", ["10.0.0.0/9", "fd00:1::/33", "0.0.0.0/0"])
@pytest.mark.parametrize("keepalive_s", [None, 0, 25, 65535])
@pytest.mark.parametrize("created", [True, False])
def test_a_common_peer_is_encoded_as_any_other_peer(
    host: str, prefix: str, keepalive_s: int | None, created: bool
) -> None:
    peer = PeerPatch(
        public_key=public_key_of(1),
        create=created,
        allowed_ips=frozenset({Prefix.parse(prefix)}),
        endpoint=Endpoint(host, 51820),
        persistent_keepalive=keepalive_s,
    )
    assert encode_common_peer(peer)
    kernels = KernelModel(), KernelModel()
    for kernel, preshared_key in zip(kernels, (None, NO_PRESHARED_KEY), strict=True):
        earlier = PeerPatch(public_key=public_key_of(1), create=not created, persistent_keepalive=9)
        write(kernel, DevicePatch(peers=(earlier,)))
        write(kernel, DevicePatch(peers=(replace(peer, preshared_key=preshared_key),)))
    assert kernels[0].peers == kernels[1].peers
    assert kernels[0].log == kernels[1].log


def test_a_thousand_peers_take_few_messages() -> None:
    kernel = KernelModel()
    patch = diff(spec_of(1000, listen_port=1), DeviceState())
    messages = write(kernel, patch)
    assert len(messages) == pytest.approx(sum(map(len, messages)) / 16384, abs=1)
    assert read(kernel).peers.keys() == spec_of(1000, listen_port=1).peers.keys()


def test_one_added_peer_is_one_small_message() -> None:
    (message,) = encode_patch("wg0", DevicePatch(peers=(create(1),)))
    assert len(message) < 200


def test_only_the_first_fragment_replaces_and_creates() -> None:
    kernel = KernelModel()
    many = frozenset(Prefix.parse(f"10.{n}.0.0/16") for n in range(100))
    write(kernel, DevicePatch(peers=(replace(create(1), allowed_ips=many),)), 1000)
    first, *rest = (flags for _, flags in kernel.log)
    assert first == REPLACE_ALLOWEDIPS
    assert set(rest) == {UPDATE_ONLY}
    assert len(rest) > 2


def test_removals_come_last_and_have_no_other_flags() -> None:
    kernel = KernelModel()
    keys = frozenset({public_key_of(1), public_key_of(9)})
    write(kernel, DevicePatch(peers=(create(1), create(2)), remove_peers=keys), 256)
    assert [flags for _, flags in kernel.log] == [REPLACE_ALLOWEDIPS] * 2 + [REMOVE_ME] * 2
    assert list(kernel.peers) == [public_key_of(2)]


def test_a_patch_without_create_creates_no_peer() -> None:
    kernel = KernelModel()
    many = frozenset(Prefix.parse(f"10.{n}.0.0/16") for n in range(100))
    write(kernel, DevicePatch(peers=(PeerPatch(public_key=public_key_of(1), allowed_ips=many),)), 400)
    assert kernel.peers == {}


def test_fields_that_a_patch_does_not_name_are_not_written() -> None:
    kernel = KernelModel()
    write(kernel, diff(spec_of(3, listen_port=5), DeviceState()))
    before = read(kernel)
    write(kernel, DevicePatch(peers=(PeerPatch(public_key=public_key_of(3)),)))
    assert read(kernel) == before
    assert (
        encode_patch("wg0", DevicePatch(mtu=1400, up=True, add_addresses=frozenset({ip_interface("10.0.0.1/8")}))) == []
    )


@given(preshared_keys(), private_keys())
def test_all_zero_keys_are_read_as_none(preshared: PresharedKey, private: PrivateKey) -> None:
    kernel = KernelModel()
    key = public_key_of(3)
    write(kernel, DevicePatch(private_key=private, peers=(replace(create(3), preshared_key=preshared),)))
    assert (read(kernel).private_key, read(kernel).peers[key].preshared_key) == (private, preshared)
    erase = PeerPatch(public_key=key, preshared_key=NO_PRESHARED_KEY)
    write(kernel, DevicePatch(private_key=PrivateKey(bytes(32)), peers=(erase,)))
    assert (read(kernel).private_key, read(kernel).peers[key].preshared_key) == (None, None)


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "fe80::1%wlan-of-15-byte", "fe80::1%77"])
def test_an_endpoint_keeps_its_scope(host: str) -> None:
    kernel = KernelModel()
    endpoint = Endpoint(host, 513)
    write(kernel, DevicePatch(peers=(replace(create(1), endpoint=endpoint),)))
    family, port = struct.unpack("=H2s", kernel.peers[public_key_of(1)]["endpoint"][:4])
    assert (family, port) == (10 if ":" in host else 2, b"\x02\x01")

    def name(number: int) -> str:
        if number == 77:
            raise OSError
        return {number: name for name, number in SCOPES.items()}[number]

    assert decode(kernel.dump(4000), DecodeCache(name)).peers[public_key_of(1)].endpoint == endpoint


def test_a_scope_that_is_not_an_interface_is_an_error() -> None:
    patch = DevicePatch(peers=(replace(create(1), endpoint=Endpoint("fe80::1%none-such", 1)),))
    with pytest.raises(BackendError, match="'none-such' of an endpoint is not an interface"):
        encode_patch("wg0", patch)


@pytest.mark.parametrize("host", ["host.example", "192.0.2", "fe80::g%eth0"])
@pytest.mark.parametrize("common", [True, False])
def test_a_host_that_is_not_an_ip_address_is_an_error(host: str, common: bool) -> None:
    peer = replace(create(1), endpoint=Endpoint(host, 1))
    if common:
        peer = replace(peer, preshared_key=None, allowed_ips=frozenset({Prefix.parse("10.0.0.1/32")}))
    with pytest.raises(BackendError, match="is not an IP address"):
        encode_patch("wg0", DevicePatch(peers=(peer,)))


@pytest.mark.parametrize(
    "patch",
    [
        DevicePatch(listen_port=65536),
        DevicePatch(listen_port=-1),
        DevicePatch(fwmark=1 << 32),
        DevicePatch(peers=(replace(create(1), persistent_keepalive=65536),)),
        DevicePatch(peers=(replace(create(1), endpoint=Endpoint("192.0.2.1", 70000)),)),
        DevicePatch(peers=(replace(create(1), endpoint=Endpoint("fe80::1%99999999999", 1)),)),
    ],
)
def test_a_number_out_of_range_is_an_error(patch: DevicePatch) -> None:
    with pytest.raises(BackendError, match="is out of range: 0 to"):
        encode_patch("wg0", patch)


def test_clear_removes_all_peers() -> None:
    kernel = KernelModel()
    write(kernel, DevicePatch(listen_port=7, peers=(create(1), create(2))))
    kernel.set_device(encode_clear("wg0"))
    assert (kernel.peers, kernel.listen_port) == ({}, 7)


def test_handshake_and_counters_are_read_and_no_handshake_is_none() -> None:
    def dump(seconds: int, nanoseconds: int) -> list[bytes]:
        peer = attr(1, public_key_of(1)) + attr(6, struct.pack("=qq", seconds, nanoseconds))
        peer += attr(7, struct.pack("=Q", 1 << 40)) + attr(8, struct.pack("=Q", 3))
        return [attr(8, attr(0, peer)), attr(8, attr(0, attr(1, public_key_of(1))))]

    peer = decode(dump(1_700_000_000, 500_000_000), DecodeCache()).peers[public_key_of(1)]
    assert (peer.last_handshake, peer.rx_bytes, peer.tx_bytes) == (1_700_000_000.5, 1 << 40, 3)
    assert decode(dump(0, 0), DecodeCache()).peers[public_key_of(1)].last_handshake is None


@pytest.mark.parametrize(("address", "bits"), [(bytes(4), 33), (bytes(16), 129), (bytes(5), 8)])
def test_an_invalid_allowed_ip_is_an_error(address: bytes, bits: int) -> None:
    family = attr(1, struct.pack("=H", 2 if len(address) == 4 else 10))
    allowed = attr(0, attr(3, bytes([bits])) + family + attr(2, address))
    with pytest.raises(BackendError, match=f"an allowed IP of {len(address)} bytes"):
        decode([attr(8, attr(0, attr(1, public_key_of(1)) + attr(9, allowed)))], DecodeCache())
