"""The backend kit for WireGuard devices on Linux. Its tests run as root.

A backend's test inherits it and overrides the fixture `plugin`:

    class TestMyBackend(LinuxContract):
        programs = ("wg", "wireguard-go")  # if one is missing, the tests are skipped with a message

        @pytest.fixture
        def plugin(self) -> BackendPlugin:
            return my_plugin

Each test runs in a network namespace of its own, which is deleted after the test even if it fails.
"""

import asyncio
import os
import subprocess
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import ClassVar

import pytest

from ikto_core.device.backend import Backend
from ikto_core.errors import IktoError
from ikto_core.lab.network import run
from ikto_core.lab.own_network import own_network, why_no_network
from ikto_core.lab.unprivileged import as_nobody
from ikto_core.testing.backend_contract import BackendContract
from ikto_core.testing.clauses import clause
from ikto_core.testing.devices import check_equal, private_key_of, public_key_of, read_device, session_of
from ikto_core.values.keys import PrivateKey, PublicKey

PEER_IFNAME = f"ikto-far{os.getpid()}"  # unique: the names of userspace devices are shared by all network namespaces


class LinuxContract(BackendContract):
    """Tests of the backend contract on a Linux host, as root and in a network namespace of their own.

    Sessions are established with a second WireGuard device over the loopback, without the backend under test.
    """

    other_kind: ClassVar[str] = "lo"  # exists in every network namespace
    programs: ClassVar[Sequence[str]] = ("wg",)  # programs that the tests need besides `ip`; `wg` sets up sessions

    @pytest.fixture(autouse=True)
    def _own_network(self) -> Iterator[None]:
        if why := why_no_network(*self.programs):
            pytest.skip(why)
        with ExitStack() as stack:
            try:
                stack.enter_context(own_network())
            except PermissionError as error:
                pytest.skip(f"creating a network namespace needs root: {error}")
            yield

    @pytest.fixture
    def ifname(self) -> str:
        """Return a device name that is unique on this host, in all network namespaces."""
        return f"ikto-a{os.getpid()}"

    @pytest.fixture
    def other_ifname(self) -> str:
        """Return another unique device name."""
        return f"ikto-b{os.getpid()}"

    def unprivileged(self) -> AbstractContextManager[None]:
        """Return a context in which the process has no root rights."""
        return as_nobody()

    @clause("C19")
    async def test_wg_shows_the_device_as_the_backend_does(self, backend: Backend, ifname: str) -> None:
        """Its keys, port and peers; and the backend shows a peer that `wg` has added."""
        state = await self._device_with_peers(backend, ifname, 3)
        device, *peers = _dump(ifname)
        shown = {"private_key": device[0], "listen_port": device[2], "peers": sorted(peer[0] for peer in peers)}
        keys = sorted(key.text for key in state.peers)
        check_equal(
            shown, {"private_key": private_key_of(1).text, "listen_port": str(state.listen_port), "peers": keys}
        )
        run("wg", "set", ifname, "peer", public_key_of(9).text, "persistent-keepalive", "21")
        found = (await read_device(backend, ifname)).peers.get(public_key_of(9))
        check_equal(found and found.persistent_keepalive, 21)

    @clause("C20")
    async def test_handshakes_and_counters_are_those_of_wg(self, backend: Backend, ifname: str) -> None:
        """Read between two looks with `wg`: the values don't go backwards."""
        key = (await self._peer_with_session(backend, ifname)).public_key
        before = _traffic(ifname, key)
        peer = await session_of(backend, ifname, key)
        after = _traffic(ifname, key)
        read = (int(peer.last_handshake or 0), peer.rx_bytes, peer.tx_bytes)
        for name, low, value, high in zip(("last_handshake", "rx_bytes", "tx_bytes"), before, read, after, strict=True):
            if not low <= value <= high:
                raise AssertionError(f"{name} is {value}, while wg shows {low} before and {high} after")

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:
        """Let the peer initiate a handshake with the device, and return once a read shows it."""
        initiate_from(peer, self.listen_ports[0])
        while not await _has_handshake(backend, ifname, peer.public()):  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)


def _dump(ifname: str) -> list[list[str]]:
    """Return the lines of `wg show IFNAME dump`: the device, and each peer."""
    return [line.split("\t") for line in run("wg", "show", ifname, "dump").splitlines()]


def _traffic(ifname: str, peer: PublicKey) -> tuple[int, int, int]:
    """Return the time of the last handshake, and the bytes received and sent, as `wg` shows them."""
    [line] = [line for line in _dump(ifname)[1:] if line[0] == peer.text]
    return int(line[4]), int(line[5]), int(line[6])


async def _has_handshake(backend: Backend, ifname: str, peer: PublicKey) -> bool:
    state = await backend.read(ifname)
    return state is not None and state.peers[peer].last_handshake is not None


def initiate_from(peer: PrivateKey, port: int) -> None:
    """Create a second WireGuard device with this key that initiates a session with the device on this port."""
    try:
        run("ip", "link", "add", PEER_IFNAME, "type", "wireguard")
    except IktoError:
        run("wireguard-go", PEER_IFNAME)
    config = f"""
        [Interface]
        PrivateKey = {peer.text}
        [Peer]
        PublicKey = {private_key_of(1).public().text}
        Endpoint = 127.0.0.1:{port}
        AllowedIPs = 10.78.0.0/16
        PersistentKeepalive = 1
    """
    command = ("wg", "setconf", PEER_IFNAME, "/dev/stdin")
    subprocess.run(command, input=textwrap.dedent(config), text=True, check=True, timeout=60)  # noqa: S603 - fixed arguments
    run("ip", "link", "set", PEER_IFNAME, "up")
