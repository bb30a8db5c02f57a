"""Bulk decode gives the same result as decoding peers one by one, with any cache and with damaged messages."""

import struct
from contextlib import suppress
from socket import AF_INET, AF_UNIX

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_backends.netlink.bulk_decode import decode_in_bulk
from ikto_backends.netlink.decode import decode
from ikto_backends.netlink.decode_cache import DecodeCache
from ikto_core.device.diff import diff
from ikto_core.device.model import DevicePatch, DeviceSpec, DeviceState, PeerState
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, public_key_of, spec_of, spec_pairs
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PublicKey
from tests.backends.kernel_model import KernelModel, attr, parse
from tests.backends.test_netlink_codec import NAMES, SCOPES, write
from tests.effort import max_examples


@given(specs=spec_pairs(range(1, 9)), room=st.integers(300, 5000), data=st.data())
def test_bulk_decode_equals_decoding_one_by_one(
    specs: tuple[DeviceSpec, DeviceSpec], room: int, data: st.DataObject
) -> None:
    kernel = KernelModel()
    write(kernel, diff(specs[0], DeviceState()))
    for peer in kernel.peers.values():
        times, bytes_ = st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, (1 << 64) - 1)
        traffic = st.fixed_dictionaries({"handshake": st.tuples(times, times), "tx": bytes_, "rx": bytes_})
        peer.update(data.draw(traffic))
    messages = list(kernel.dump(room))
    state = decode(messages, DecodeCache(NAMES.__getitem__))
    assert state.peers.keys() == kernel.peers.keys()
    assert state == decode(list(map(with_unknown_attribute, messages)), DecodeCache(NAMES.__getitem__))


def with_unknown_attribute(message: bytes) -> bytes:
    """Return the message with an unknown attribute in each peer, which bulk decode does not match."""
    parts = ((kind, payload) for kind, payload in parse(message))
    return b"".join(
        attr(kind, b"".join(attr(0, attr(99, b"?") + peer) for _, peer in parse(payload)) if kind == 8 else payload)
        for kind, payload in parts
    )


def test_peers_in_linuxs_layout_are_decoded_in_bulk() -> None:
    """Otherwise the test above would compare the slow path with itself."""
    kernel = KernelModel()
    write(kernel, DevicePatch(peers=tuple(create(number) for number in range(1, 100))))
    for peer in parse(b"".join(payload for kind, payload in parse(b"".join(kernel.dump(60000))) if kind == 8)):
        encoded = attr(0x8000, peer[1])
        assert decode_in_bulk(encoded, 0, len(encoded), DecodeCache())
    (message,) = (payload for kind, payload in parse(b"".join(kernel.dump(60000))) if kind == 8)
    assert len(decode_in_bulk(message, 0, len(message), DecodeCache()) or ()) == 99


def test_the_cache_does_not_change_the_result() -> None:
    kernel, cache = KernelModel(), DecodeCache(NAMES.__getitem__)
    for numbers in (range(1, 50), range(25, 75), range(1, 99)):
        write(kernel, DevicePatch(peers=tuple(create(number) for number in numbers)))
        assert decode(kernel.dump(4000), cache) == decode(kernel.dump(4000), DecodeCache(NAMES.__getitem__))


def test_an_endpoint_of_an_unknown_family_is_an_error() -> None:
    sockaddrs = [struct.pack("=H14x", AF_UNIX), struct.pack("=H2s4s8x", AF_INET, b"\0\1", b"\1\2\3\4")]
    (cache := DecodeCache()).fill(sockaddrs, [])
    assert cache.endpoints[sockaddrs[1]] == Endpoint("1.2.3.4", 1)
    with pytest.raises(ValueError, match="family"):
        cache.endpoints[sockaddrs[0]]


def test_a_renamed_interface_is_noticed() -> None:
    kernel, names = KernelModel(), dict(NAMES)
    endpoint = Endpoint("fe80::1%eth0", 1)
    write(kernel, DevicePatch(peers=(replace(create(1), endpoint=endpoint),)))
    cache = DecodeCache(names.__getitem__)
    assert decode(kernel.dump(4000), cache).peers[public_key_of(1)].endpoint == endpoint
    names[SCOPES["eth0"]] = "lan0"
    assert decode(kernel.dump(4000), cache).peers[public_key_of(1)].endpoint == Endpoint("fe80::1%lan0", 1)


def test_the_cache_is_emptied_before_it_grows_without_bound() -> None:
    """For example while a peer's endpoint changes again and again."""
    kernel, cache = KernelModel(), DecodeCache()
    for port in range(1, 3000):
        write(kernel, DevicePatch(peers=(replace(create(1), endpoint=Endpoint("192.0.2.1", port)),)))
        decode(kernel.dump(4000), cache)
    assert len(cache.endpoints) < 1500


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_any_bytes_are_decoded_or_a_backend_error(messages: list[bytes]) -> None:
    check_same_outcome(messages)


@settings(max_examples=max_examples(400))
@given(st.data())
def test_a_damaged_dump_is_decoded_or_a_backend_error(data: st.DataObject) -> None:
    kernel = KernelModel()
    write(kernel, diff(spec_of(3, listen_port=5), DeviceState()))
    dump = bytearray(b"".join(kernel.dump(60000)))
    for _ in range(data.draw(st.integers(1, 3))):
        dump[data.draw(st.integers(0, len(dump) - 1))] = data.draw(st.integers(0, 255))
    check_same_outcome([bytes(dump[: data.draw(st.integers(0, len(dump)))])])


def dumped_peer(number: int, prefix: str) -> bytes:
    """Return the kernel's encoding of a peer with one allowed IP."""
    kernel = KernelModel()
    write(kernel, DevicePatch(peers=(replace(create(number), allowed_ips=frozenset({Prefix.parse(prefix)})),)))
    return dict(parse(next(kernel.dump(4000))))[8]


def with_u16(blob: bytes, offset: int, change: int) -> bytes:
    """Return the bytes with `change` added to the 16-bit number at `offset`; a negative offset counts from the end."""
    start = offset % len(blob)
    (number,) = struct.unpack_from("=H", blob, start)
    return blob[:start] + struct.pack("=H", number + change) + blob[start + 2 :]


ONE, OTHER = dumped_peer(1, "10.1.0.0/16"), dumped_peer(2, "fd00:2::/32")
LIST, PREFIX, LENGTH, FAMILY = -44, -40, -36, -28  # offsets of the headers of its allowed IP, from the end


@pytest.mark.parametrize(
    "peers",
    [
        [ONE + OTHER],
        [ONE + attr(7, b"") + OTHER],
        [ONE + dumped_peer(1, "10.2.0.0/16")],
        [ONE, dumped_peer(1, "10.2.0.0/16")],
        [ONE + with_u16(OTHER, 0, -4)],
        [with_u16(ONE, 0, 4) + OTHER],
        [with_u16(ONE, 0, 4) + with_u16(OTHER, 0, -4)],
        [ONE + with_u16(OTHER, LIST, -4)],
        [ONE + with_u16(OTHER, LIST, 4)],
        [ONE + with_u16(OTHER, PREFIX, -4)],
        [ONE + with_u16(OTHER, LENGTH, 1)],
        [ONE + with_u16(OTHER, LENGTH + 4, 97)],
        [ONE + with_u16(OTHER, FAMILY + 2, 5)],
        [ONE + with_u16(OTHER, FAMILY + 8, -4)],
        [ONE + with_u16(OTHER, 4, 1)],
        [ONE + OTHER + bytes(2)],
    ],
)
def test_peers_that_differ_slightly_from_the_bulk_layout_are_decoded_alike(peers: list[bytes]) -> None:
    check_same_outcome([attr(8, blob) for blob in peers])


def test_bulk_decode_continues_after_the_rest_of_a_split_peer() -> None:
    more = dict(parse(parse(dumped_peer(1, "10.2.0.0/16"))[0][1]))[9]
    rest = attr(0x8000, attr(1, public_key_of(1)) + attr(9, more))
    decoded: list[int] = []

    def counted(data: bytes, start: int, end: int, cache: DecodeCache) -> dict[PublicKey, PeerState] | None:
        peers = decode_in_bulk(data, start, end, cache)
        decoded.append(len(peers or ()))
        return peers

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ikto_backends.netlink.decode.decode_in_bulk", counted)
        state = decode([attr(8, ONE), attr(8, rest + OTHER + dumped_peer(3, "10.3.0.0/16"))], DecodeCache(str))
    assert [len(peer.allowed_ips) for peer in state.peers.values()] == [2, 1, 1]
    assert decoded == [1, 0, 2]


def check_same_outcome(messages: list[bytes]) -> None:
    """Decode the messages with and without bulk decode, and compare the results."""
    with pytest.MonkeyPatch.context() as patch:
        first = outcome(messages)
        patch.setattr("ikto_backends.netlink.decode.decode_in_bulk", lambda *_: None)
        patch.setattr("ikto_backends.netlink.decode_cache._single_prefix", lambda _: None)
        assert outcome(messages) == first


def outcome(messages: list[bytes]) -> DeviceState | None:
    with suppress(BackendError):
        return decode(messages, DecodeCache(str))
    return None
