"""An empty patch is false, and printed records hide secret keys."""

from ipaddress import ip_interface

import pytest

from ikto_core.device.model import (
    NO_PRESHARED_KEY,
    DevicePatch,
    DeviceSpec,
    DeviceState,
    PeerPatch,
    PeerSpec,
    PeerState,
)
from ikto_core.testing.devices import public_key_of
from ikto_core.values.keys import PresharedKey, PrivateKey

PRIVATE = PrivateKey(bytes([7] * 32))
PRESHARED = PresharedKey(bytes([9] * 32))
KEY = public_key_of(1)

ADDRESSES = frozenset({ip_interface("10.0.0.1/8")})
PEER = PeerSpec(public_key=KEY, allowed_ips=frozenset(), preshared_key=PRESHARED)
SHOWN = PeerState(public_key=KEY, preshared_key=PRESHARED)
CHANGE = PeerPatch(public_key=KEY, preshared_key=PRESHARED)


def test_an_empty_patch_is_false() -> None:
    assert not DevicePatch()
    assert not DevicePatch(peers=(), remove_peers=frozenset(), add_addresses=frozenset(), mtu=None)


@pytest.mark.parametrize(
    "patch",
    [
        DevicePatch(private_key=PRIVATE),
        DevicePatch(private_key=PrivateKey(bytes(32))),
        DevicePatch(listen_port=0),
        DevicePatch(fwmark=0),
        DevicePatch(mtu=1420),
        DevicePatch(add_addresses=ADDRESSES),
        DevicePatch(remove_addresses=ADDRESSES),
        DevicePatch(up=False),
        DevicePatch(peers=(CHANGE,)),
        DevicePatch(remove_peers=frozenset({KEY})),
    ],
)
def test_a_patch_with_anything_to_write_is_true_even_for_zero(patch: DevicePatch) -> None:
    assert patch


@pytest.mark.parametrize(
    "value",
    [
        PEER,
        SHOWN,
        CHANGE,
        DeviceSpec(private_key=PRIVATE, listen_port=1, addresses=ADDRESSES, peers={KEY: PEER}),
        DeviceState(private_key=PRIVATE, peers={KEY: SHOWN}),
        DevicePatch(private_key=PRIVATE, peers=(CHANGE,)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_printed_records_hide_secret_keys(value: object) -> None:
    for text in (repr(value), str(value), f"{value}"):
        assert "hidden" in text
        assert KEY.text in text
        for secret in (PRIVATE, PRESHARED):
            assert secret.text not in text
            assert repr(bytes(secret)) not in text
            assert secret.hex() not in text


def test_the_value_that_removes_a_preshared_key_is_all_zero() -> None:
    assert bytes(32) == NO_PRESHARED_KEY
