"""The protocol's text and the records, without a device."""

import pytest

from ikto_backend_uapi.protocol import device_of, interface_lines, peer_lines
from ikto_core.plugins import (
    NO_PRESHARED_KEY,
    DevicePatch,
    DeviceState,
    Endpoint,
    PeerPatch,
    PeerState,
    Prefix,
    PrivateKey,
    PublicKey,
)

ONE, TWO = (PublicKey(bytes([number] * 32)) for number in (1, 2))
ANSWER = f"""\
private_key={"08" * 32}
listen_port=12912
fwmark=7
public_key={ONE.hex()}
preshared_key={"00" * 32}
protocol_version=1
endpoint=[2001:db8::1]:51820
last_handshake_time_sec=1700000000
last_handshake_time_nsec=500000000
tx_bytes=38333
rx_bytes=2224
persistent_keepalive_interval=111
allowed_ip=192.168.4.4/32
allowed_ip=fd00::/48
public_key={TWO.hex()}
last_handshake_time_sec=0
last_handshake_time_nsec=0"""


def device_in(text: str) -> DeviceState:
    return device_of((name, value) for name, _, value in (line.partition("=") for line in text.splitlines()))


def test_an_answer_is_parsed() -> None:
    assert device_in(ANSWER) == DeviceState(
        private_key=PrivateKey(bytes([8] * 32)),
        listen_port=12912,
        fwmark=7,
        peers={
            ONE: PeerState(
                public_key=ONE,
                endpoint=Endpoint("2001:db8::1", 51820),
                last_handshake=1700000000.5,
                tx_bytes=38333,
                rx_bytes=2224,
                persistent_keepalive=111,
                allowed_ips=frozenset({Prefix.parse("192.168.4.4/32"), Prefix.parse("fd00::/48")}),
            ),
            TWO: PeerState(public_key=TWO),
        },
    )


def test_a_new_device_is_empty() -> None:
    assert device_in("") == DeviceState()


@pytest.mark.parametrize("line", ["listen_port=x", "public_key=00", "public_key=zz", f"public_key={'01' * 33}"])
def test_an_invalid_answer_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        device_in(line)


def test_a_patch_writes_what_it_names_and_removes_last() -> None:
    patch = DevicePatch(
        fwmark=0,
        peers=(
            PeerPatch(public_key=ONE, create=True, allowed_ips=frozenset(), preshared_key=NO_PRESHARED_KEY),
            PeerPatch(public_key=TWO, endpoint=Endpoint("192.0.2.1", 9), persistent_keepalive=0),
        ),
        remove_peers=frozenset({TWO}),
    )
    assert list(interface_lines(patch)) == ["fwmark=0"]
    assert list(peer_lines(patch)) == [
        f"public_key={ONE.hex()}",
        f"preshared_key={'00' * 32}",
        "replace_allowed_ips=true",
        f"public_key={TWO.hex()}",
        "update_only=true",
        "endpoint=192.0.2.1:9",
        "persistent_keepalive_interval=0",
        f"public_key={TWO.hex()}",
        "remove=true",
    ]


def test_an_empty_patch_writes_nothing() -> None:
    assert not list(interface_lines(DevicePatch()))
    assert not list(peer_lines(DevicePatch()))
