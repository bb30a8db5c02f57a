"""The contract kit on WireGuard devices of this Linux host, whatever drives them; as root.

A backend's test inherits it and gives the fixture `plugin`:

    class TestMyBackend(LinuxContract):
        programs = ("wg", "wireguard-go")  # without one of them the tests are skipped, aloud

        @pytest.fixture
        def plugin(self) -> BackendPlugin:
            return my_plugin

Each test has a network of its own, which goes with all that is in it, also when the test fails.
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
from ikto_core.testing.devices import private_key_of
from ikto_core.values.keys import PrivateKey, PublicKey

FAR = f"ikto-far{os.getpid()}"  # userspace devices share their names with all network namespaces


class LinuxContract(BackendContract):
    """The kit for devices of a Linux host; as root, in a network of its own, so that no other is touched.

    Sessions are made with a second WireGuard of this host, over the loopback, that no backend under test drives.
    """

    other_kind: ClassVar[str] = "lo"  # which every network has
    programs: ClassVar[Sequence[str]] = ("wg",)  # what the tests run, beside `ip`; `wg` makes the sessions

    @pytest.fixture(autouse=True)
    def _own_network(self) -> Iterator[None]:
        if why := why_no_network(*self.programs):
            pytest.skip(why)
        with ExitStack() as stack:
            try:
                stack.enter_context(own_network())
            except PermissionError as error:
                pytest.skip(f"network namespaces need root's rights: {error}")
            yield

    @pytest.fixture
    def ifname(self) -> str:
        """Return a name that no other device of this host has, in whatever network namespace."""
        return f"ikto-a{os.getpid()}"

    @pytest.fixture
    def other_ifname(self) -> str:
        """Return another one."""
        return f"ikto-b{os.getpid()}"

    def unprivileged(self) -> AbstractContextManager[None]:
        """Take root's rights away for a while."""
        return as_nobody()

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:
        """Have the peer speak to the device, and return once a read shows the handshake."""
        call_from(peer, self.listen_ports[0])
        while not await _has_spoken(backend, ifname, peer.public()):  # noqa: ASYNC110 - of which no device tells
            await asyncio.sleep(0.05)


async def _has_spoken(backend: Backend, ifname: str, peer: PublicKey) -> bool:
    state = await backend.read(ifname)
    return state is not None and state.peers[peer].last_handshake is not None


def call_from(peer: PrivateKey, port: int) -> None:
    """Let a WireGuard with that key, the kernel's if it has one, open a session with the device on that port."""
    try:
        run("ip", "link", "add", FAR, "type", "wireguard")
    except IktoError:
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
    command = ("wg", "setconf", FAR, "/dev/stdin")
    subprocess.run(command, input=textwrap.dedent(config), text=True, check=True, timeout=60)  # noqa: S603 - as above
    run("ip", "link", "set", FAR, "up")
