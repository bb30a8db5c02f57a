"""A clock that goes back (docs/operations.md): WireGuard's own rule, shown on the kernel's WireGuard."""

import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from ikto_core.lab.network import Host, network
from ikto_core.values.keys import PrivateKey
from tests.e2e.conftest import eventually

WG = "ikto-wg0"
AN_HOUR = 3600.0


@pytest.fixture
def clock_goes_back() -> Iterator[None]:
    """The host has lost an hour, until the test ends."""
    began_s, since_s = time.time(), time.monotonic()
    time.clock_settime(time.CLOCK_REALTIME, began_s - AN_HOUR)
    yield
    time.clock_settime(time.CLOCK_REALTIME, began_s + time.monotonic() - since_s)


@pytest.fixture
def hosts() -> Iterator[Sequence[Host]]:
    with network(2) as (_, made):
        yield made


@pytest.fixture
def met(hosts: Sequence[Host], tmp_path: Path) -> list[PrivateKey]:
    """The keys of two hosts that have shaken hands."""
    keys = [PrivateKey.generate(), PrivateKey.generate()]
    for number, host in enumerate(hosts):
        begin(host, keys[number], hosts[1 - number], keys[1 - number], tmp_path)
    assert_reaches(hosts[0], hosts[1])
    return keys


def mesh_address(host: Host) -> str:
    return host.address.replace("10.66.0.", "10.9.0.")


def assert_reaches(host: Host, peer: Host) -> None:
    """Wait until a ping is answered: an emulated machine may be slow."""
    eventually(partial(host.reaches, mesh_address(peer)))


def begin(host: Host, key: PrivateKey, peer: Host, peers_key: PrivateKey, directory: Path) -> None:
    """Give a host a device that remembers nothing, as after a reboot."""
    file = directory / "key"
    file.write_text(key.text)
    host.run("ip", "link", "add", WG, "type", "wireguard")
    host.run("wg", "set", WG, "private-key", str(file), "listen-port", "51820")
    know(host, peer, peers_key)
    host.run("ip", "addr", "add", f"{mesh_address(host)}/24", "dev", WG)
    host.run("ip", "link", "set", WG, "up")


def know(host: Host, peer: Host, peers_key: PrivateKey) -> None:
    told = ("allowed-ips", f"{mesh_address(peer)}/32", "endpoint", f"{peer.address}:51820")
    host.run("wg", "set", WG, "peer", peers_key.public().text, *told)


def reboot(host: Host, key: PrivateKey, peer: Host, peers_key: PrivateKey, directory: Path) -> None:
    host.run("ip", "link", "del", WG)
    begin(host, key, peer, peers_key, directory)


@pytest.mark.usefixtures("met", "clock_goes_back")
def test_a_node_whose_clock_went_back_begins_no_session_but_its_peers_do_and_a_new_key_does(
    hosts: Sequence[Host], met: list[PrivateKey], tmp_path: Path
) -> None:
    (late, peer), (key, peers_key) = hosts, met
    reboot(late, key, peer, peers_key, tmp_path)
    assert late.lost_pings(mesh_address(peer), count=2) == 2

    peer.run("ip", "link", "set", WG, "down")  # so that it has no session to send by, but what it remembers
    peer.run("ip", "link", "set", WG, "up")
    assert_reaches(peer, late)

    new_key = PrivateKey.generate()
    peer.run("wg", "set", WG, "peer", key.public().text, "remove")
    know(peer, late, new_key)
    reboot(late, new_key, peer, peers_key, tmp_path)
    assert_reaches(late, peer)
