"""The kernel's WireGuard starts over with a kicked peer at once, also after two first handshakes have collided.

The machine is emulated, so nothing is timed: the kernel's own log shows whether WireGuard made a second try.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from ipaddress import ip_interface
from math import inf
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, SOCK_NONBLOCK, socket

import pytest

from ikto_backends.netlink import open_netlink
from ikto_backends.wgtool import open_wgtool
from ikto_core.device import first_contact, kicker
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.device.endpoint_policy import INITIATION_BYTES
from ikto_core.device.model import DeviceSpec, PeerSpec, PeerState
from ikto_core.lab.network import Host, remove_namespace, run
from ikto_core.lab.own_network import own_network
from ikto_core.testing.devices import apply_spec, new_device, private_key_of
from ikto_core.values.addressing import Endpoint, Prefix
from tests.kernel.wireguard_log import SECOND_TRY, wireguard_log

RESPONSE_BYTES = 92
"""The size of a handshake response (WireGuard paper, section 5.4.3)."""

PATIENCE_S = 120.0
DELAY = "100ms"
"""One way: both sides send their initiations before either has arrived."""

LOW, HIGH = sorted(map(private_key_of, (1, 2)), key=lambda key: key.public())
FIRST_PORT = 42040
DISCARD_PORT = 9

ATTEMPTS = 5
"""How often a collision is made. A busy machine can take longer for a kick than the 5 s to WireGuard's second try."""


class Side:
    """A device with one peer, and a socket in the device's network namespace."""

    def __init__(self, backend: Backend, ifname: str, number: int, sender: socket) -> None:
        self.number = number
        self._backend = backend
        self._ifname = ifname
        self._sender = sender
        self._key, self._peer = (LOW, HIGH.public()) if number == 1 else (HIGH, LOW.public())
        self._kicker = kicker.Kicker(backend, ifname, self._key.public())

    async def create(self, endpoint: Endpoint, *, listen_port: int) -> None:
        """Make the device, with its peer."""
        peer = PeerSpec(
            public_key=self._peer, allowed_ips=frozenset({Prefix.parse(f"{self._peers_address}/32")}), endpoint=endpoint
        )
        spec = DeviceSpec(
            private_key=self._key,
            listen_port=listen_port,
            addresses=frozenset({ip_interface(f"10.78.0.{self.number}/16")}),
            peers={peer.public_key: peer},
        )
        await new_device(self._backend, self._ifname)
        await apply_spec(self._backend, self._ifname, spec)
        self._kicker.added([self._peer])

    async def peer(self) -> PeerState:
        """Return the peer as the device shows it."""
        state = await self._backend.read(self._ifname)
        assert state
        return state.peers[self._peer]

    async def counted(self, *, rx_bytes: int, tx_bytes: int) -> bool:
        """Wait until exactly this was received from the peer, and sent to it; False: it has a session before that."""
        async with asyncio.timeout(PATIENCE_S):
            while (found := await self.peer()).last_handshake is None:
                if (found.rx_bytes, found.tx_bytes) == (rx_bytes, tx_bytes):
                    return True
                await asyncio.sleep(0.01)
        return False

    async def kicked(self) -> bool:
        """Wait until the peer has been kicked; False: it has a session before that."""
        async with asyncio.timeout(PATIENCE_S):
            while self._kicker.next_check_at < inf:
                if (await self._kicker.check()).kicked:
                    return True
                await asyncio.sleep(0.01)
        return False

    async def in_session(self) -> None:
        """Wait until the device has a session with the peer."""
        async with asyncio.timeout(PATIENCE_S):
            while (await self.peer()).last_handshake is None:
                await asyncio.sleep(0.01)

    def send(self) -> None:
        """Send an empty datagram to the peer."""
        self._sender.sendto(b"", (self._peers_address, DISCARD_PORT))

    @property
    def _peers_address(self) -> str:
        return f"10.78.0.{3 - self.number}"


class SilentPeer:
    """A peer that receives and never answers."""

    def __init__(self, stack: ExitStack) -> None:
        self._socket = stack.enter_context(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK))
        self._socket.bind(("127.0.0.1", 0))
        self.endpoint = Endpoint(*self._socket.getsockname())
        self.received: list[int] = []

    def sizes(self) -> list[int]:
        """Return the sizes of all datagrams that have arrived."""
        try:
            while True:
                self.received.append(len(self._socket.recv(2048)))
        except BlockingIOError:
            return self.received


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading a device takes long here, and the waits are longer for that."""
    monkeypatch.setattr(first_contact, "REST_FACTOR", 0.0)
    for wait in ("LOOK_EVERY_S", "LOWER_KEY_WAIT_S"):
        monkeypatch.setattr(first_contact, wait, 0.01)


@pytest.fixture
def _own_network() -> Iterator[None]:
    with own_network():
        yield


@pytest.fixture
def silent(_own_network: None) -> Iterator[SilentPeer]:
    with ExitStack() as stack:
        yield SilentPeer(stack)


@pytest.fixture(params=[open_netlink, open_wgtool])
async def side(request: pytest.FixtureRequest, silent: SilentPeer, tmp_path: Path) -> AsyncIterator[Side]:
    """A side whose peer is silent."""
    async with AsyncExitStack() as stack:
        ifname = "ikto-kit1"
        backend = await stack.enter_async_context(request.param(BackendContext(ifname=ifname, state_dir=tmp_path)))
        stack.push_async_callback(backend.delete, ifname)
        made = Side(backend, ifname, 1, stack.enter_context(socket(AF_INET, SOCK_DGRAM)))
        await made.create(silent.endpoint, listen_port=FIRST_PORT)
        yield made


@pytest.fixture
async def two(_own_network: None, tmp_path: Path) -> AsyncIterator[tuple[Side, Side]]:
    """Two sides without devices; the first one has the lower key."""
    async with AsyncExitStack() as stack:
        run("tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", DELAY)
        yield await _side(stack, 1, tmp_path), await _side(stack, 2, tmp_path)


async def _side(stack: AsyncExitStack, number: int, directory: Path) -> Side:
    """Make a device in its own network namespace; its tunnel runs through this namespace's loopback interface."""
    host, ifname = Host(f"ikto-{os.getpid()}-{number}", ""), f"ikto-kit{number}"
    run("ip", "netns", "add", host.namespace)
    stack.callback(remove_namespace, host.namespace)
    context = BackendContext(ifname=ifname, state_dir=directory, netns=host.namespace)
    backend = await stack.enter_async_context(open_netlink(context))
    stack.push_async_callback(backend.delete, ifname)
    sender = stack.enter_context(host.call(partial(socket, AF_INET, SOCK_DGRAM)))
    return Side(backend, ifname, number, sender)


async def collide(low: Side, high: Side) -> bool:
    """Make the devices of both sides anew, and have their first handshakes collide.

    Return whether both have counted an initiation and a response each way. They have a session before that if this
    machine takes more than 5 s.
    """
    for side, other in ((low, high), (high, low)):
        await side.create(Endpoint("127.0.0.1", FIRST_PORT + other.number), listen_port=FIRST_PORT + side.number)
    low.send()
    high.send()
    counters = {"rx_bytes": INITIATION_BYTES, "tx_bytes": INITIATION_BYTES + RESPONSE_BYTES}
    return await low.counted(**counters) and await high.counted(**counters)


async def test_a_kicked_peer_starts_a_handshake_with_the_next_packet(side: Side, silent: SilentPeer) -> None:
    with wireguard_log() as log:
        side.send()
        assert await side.counted(rx_bytes=0, tx_bytes=INITIATION_BYTES)
        for _ in range(5):
            side.send()
        assert await side.kicked()
        assert len(silent.sizes()) <= 1 + len(log.lines(SECOND_TRY)), "more packets make WireGuard do nothing"
    assert await side.counted(rx_bytes=0, tx_bytes=0)
    before = len(silent.sizes())
    with wireguard_log() as log:
        side.send()
        assert await side.counted(rx_bytes=0, tx_bytes=INITIATION_BYTES)
        assert not log.lines(SECOND_TRY)
    assert silent.sizes()[before:] == [INITIATION_BYTES]


async def test_without_a_kick_first_handshakes_that_collide_wait_for_wireguards_second_try(
    two: tuple[Side, Side],
) -> None:
    """Or the test of the kick would show nothing."""
    with wireguard_log() as log:
        assert await collide(*two)
        async with asyncio.timeout(PATIENCE_S):
            while not log.lines(SECOND_TRY):
                await asyncio.sleep(0.1)


async def test_a_kick_by_one_side_ends_a_collision(two: tuple[Side, Side]) -> None:
    """The other side never kicks, as Ikto 0.3.0. It counts the initiation that starts over."""
    low, high = two
    with wireguard_log() as log:
        for _ in range(ATTEMPTS):
            tries = len(log.lines(SECOND_TRY))
            if await collide(low, high) and await low.kicked():
                low.send()
                await low.in_session()
                await high.in_session()
                if len(log.lines(SECOND_TRY)) == tries:
                    break  # else the machine took longer than WireGuard for its second try
        else:
            pytest.fail(f"no session without a second try in {ATTEMPTS} attempts")
    assert (await high.peer()).rx_bytes >= 2 * INITIATION_BYTES
