"""The contract kit on devices of this Linux host, whatever drives them; for root, where nobody else uses the network.

A backend's test inherits it and gives the fixture `plugin`:

    class TestMine(LinuxContract):
        @pytest.fixture
        def plugin(self) -> BackendPlugin: ...
"""

import asyncio
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import ClassVar

import pytest

from ikto_core.backend import Backend
from ikto_core.keys import PrivateKey
from ikto_core.testing import BackendContract
from ikto_core.testing.devices import private_key_of
from tests.unprivileged import as_nobody

FAR = "ikto-far0"


class LinuxContract(BackendContract):
    """Sessions are made with a second WireGuard of this host, over the loopback, that no backend of ours drives."""

    other_kind: ClassVar[str] = "lo"

    @pytest.fixture(autouse=True)
    def _far_end(self) -> Iterator[None]:
        yield
        subprocess.run(("ip", "link", "delete", FAR), capture_output=True, check=False, timeout=60)

    def unprivileged(self) -> AbstractContextManager[None]:
        return as_nobody()

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:
        call_from(peer, self.listen_ports[0])
        while not ((state := await backend.read(ifname)) and state.peers[peer.public()].last_handshake):
            await asyncio.sleep(0.05)


def call_from(peer: PrivateKey, port: int) -> None:
    """Let a WireGuard with that key, the kernel's if it has one, open a session with the device on that port."""
    made = subprocess.run(("ip", "link", "add", FAR, "type", "wireguard"), capture_output=True, check=False, timeout=60)
    if made.returncode:
        run("wireguard-go", FAR)
    config = f"""
        [Interface]
        PrivateKey = {peer.text}
        [Peer]
        PublicKey = {private_key_of(1).public().text}
        Endpoint = 127.0.0.1:{port}
        AllowedIPs = 10.78.0.0/16
        PersistentKeepalive = 1
    """
    run("wg", "setconf", FAR, "/dev/stdin", stdin=textwrap.dedent(config))
    run("ip", "link", "set", FAR, "up")


def run(*argv: str, stdin: str = "") -> None:
    subprocess.run(argv, input=stdin, text=True, check=True, timeout=60, stdout=subprocess.DEVNULL)
