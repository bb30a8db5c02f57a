"""Decoding a few peers of a dump of WireGuard's netlink family gives what decoding the whole dump shows of them."""

from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ikto_backends.netlink.decode import decode, decode_peers
from ikto_backends.netlink.decode_cache import DecodeCache
from ikto_core.device.diff import diff
from ikto_core.device.model import DevicePatch, DeviceSpec, DeviceState, PeerState
from ikto_core.errors import BackendError
from ikto_core.testing.devices import create, public_key_of, spec_of, spec_pairs
from ikto_core.values.addressing import Prefix
from ikto_core.values.keys import PublicKey
from tests.backends.kernel_model import KernelModel, attr
from tests.backends.test_netlink_codec import NAMES, write
from tests.backends.test_netlink_decode import dumped_peer, with_unknown_attribute
from tests.effort import max_examples


def shown(messages: Iterable[bytes], *keys: PublicKey) -> dict[PublicKey, PeerState]:
    return dict(decode_peers(messages, frozenset(keys), DecodeCache(NAMES.__getitem__)))


def kernel_with(*numbers: int) -> KernelModel:
    kernel = KernelModel()
    write(kernel, DevicePatch(peers=tuple(map(create, numbers))))
    return kernel


@given(specs=spec_pairs(range(1, 9)), room=st.integers(300, 5000), data=st.data())
def test_a_few_peers_are_decoded_as_in_the_whole_dump(
    specs: tuple[DeviceSpec, DeviceSpec], room: int, data: st.DataObject
) -> None:
    kernel = KernelModel()
    write(kernel, diff(specs[0], DeviceState()))
    messages = list(kernel.dump(room))
    every = decode(messages, DecodeCache(NAMES.__getitem__)).peers
    keys = data.draw(st.sets(st.sampled_from([*every, public_key_of(60000)])))
    wanted = {key: peer for key, peer in every.items() if key in keys}
    assert shown(messages, *keys) == wanted
    assert shown(map(with_unknown_attribute, messages), *keys) == wanted


@pytest.mark.parametrize("keys", [1, 20, 21, 300])
def test_any_number_of_peers_is_found(keys: int) -> None:
    numbers = range(1, 301)
    messages = list(kernel_with(*numbers).dump(4000))
    assert shown(messages, *map(public_key_of, numbers[:keys])).keys() == set(map(public_key_of, numbers[:keys]))


def test_a_peer_that_is_split_over_messages_is_joined() -> None:
    kernel = kernel_with(1, 2, 3)
    prefixes = frozenset(Prefix.parse(f"fd10:{n:x}::/32") for n in range(600))
    write(kernel, DevicePatch(peers=(replace(create(2), allowed_ips=prefixes),)))
    messages = list(kernel.dump(4000))
    assert len(messages) > 5
    assert shown(messages, public_key_of(2))[public_key_of(2)].allowed_ips == prefixes


def test_other_peers_are_not_decoded() -> None:
    """A peer that can't be decoded shows that."""
    broken = attr(0x8000, attr(1, public_key_of(2)) + attr(4, b"no endpoint"))
    messages = [attr(8, dumped_peer(1, "10.1.0.0/16") + broken)]
    assert set(shown(messages, public_key_of(1))) == {public_key_of(1)}
    with pytest.raises(BackendError, match="can't decode"):
        shown(messages, public_key_of(2))


def test_a_key_in_another_attribute_is_not_a_peer() -> None:
    """Bytes of any value may be in a preshared key."""
    key = public_key_of(2)
    other = attr(0x8000, attr(1, public_key_of(1)) + attr(2, key) + attr(2, attr(1, key)))
    assert shown([attr(8, other)], key) == {}


@pytest.mark.parametrize("before", [b"", attr(99, b"unknown")])
def test_of_two_public_keys_in_a_peer_the_first_counts(before: bytes) -> None:
    one, other = public_key_of(1), public_key_of(2)
    messages = [attr(8, attr(0x8000, before + attr(1, one) + attr(1, other)))]
    assert set(decode(messages, DecodeCache(str)).peers) == {one} == set(shown(messages, one))
    assert shown(messages, other) == {}


@settings(max_examples=max_examples(200))
@given(st.data())
def test_a_damaged_dump_is_decoded_or_a_backend_error(data: st.DataObject) -> None:
    kernel = KernelModel()
    write(kernel, diff(spec_of(3, listen_port=5), DeviceState()))
    dump = bytearray(b"".join(kernel.dump(60000)))
    for _ in range(data.draw(st.integers(1, 3))):
        dump[data.draw(st.integers(0, len(dump) - 1))] = data.draw(st.integers(0, 255))
    messages = [bytes(dump[: data.draw(st.integers(0, len(dump)))])]
    with suppress(BackendError):
        every = decode(messages, DecodeCache(str)).peers
        assert decode_peers(messages, every.keys(), DecodeCache(str)) == every
