"""Helpers for tests of backends: devices to write, and functions that compare them with the device that is read."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from ipaddress import ip_interface
from typing import TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec.structs import replace

from ikto_core.device.backend import Backend, DeviceEvent
from ikto_core.device.diff import diff
from ikto_core.device.model import DeviceSpec, DeviceState, PeerPatch, PeerSpec, PeerState
from ikto_core.testing.differences import differences
from ikto_core.testing.strategies import device_specs, peer_maps, prefixes, public_keys
from ikto_core.values.addressing import Endpoint, Prefix
from ikto_core.values.keys import PresharedKey, PrivateKey, PublicKey

E = TypeVar("E", bound=Exception)


def private_key_of(number: int) -> PrivateKey:
    """Return a clamped private key; numbers below 256 give different keys."""
    return PrivateKey(bytes([8, *([number] * 30), 64]))


def public_key_of(number: int) -> PublicKey:
    """Return a public key; numbers from 1 give different keys."""
    return PublicKey(number.to_bytes(32, "big"))


def peer_of(number: int) -> PeerSpec:
    """Return a peer with a /32 and a /64; odd numbers have an IPv6 endpoint, even ones IPv4. Numbers: 1 to 65535."""
    low = f"{number >> 8}.{number & 255}"
    return PeerSpec(
        public_key=public_key_of(number),
        allowed_ips=frozenset({Prefix.parse(f"10.77.{low}/32"), Prefix.parse(f"fd77:0:0:{number:x}::/64")}),
        endpoint=Endpoint.parse(f"[2001:db8::{number:x}]:51820" if number % 2 else f"192.0.{low}:51820"),
        preshared_key=PresharedKey(bytes([number & 127 | 1] * 32)) if number % 3 == 0 else None,
    )


def create(number: int) -> PeerPatch:
    """Return the patch that adds `peer_of(number)`."""
    peer = peer_of(number)
    return PeerPatch(
        public_key=peer.public_key,
        create=True,
        allowed_ips=peer.allowed_ips,
        endpoint=peer.endpoint,
        preshared_key=peer.preshared_key,
    )


def spec_of(peers: int, *, listen_port: int) -> DeviceSpec:
    """Return the spec of a device with one IPv4 address and the peers 1 to `peers`."""
    specs = [peer_of(number) for number in range(1, peers + 1)]
    return DeviceSpec(
        private_key=private_key_of(1),
        listen_port=listen_port,
        addresses=frozenset({ip_interface("10.78.0.1/16")}),
        peers={spec.public_key: spec for spec in specs},
        fwmark=7,
        mtu=1400,
    )


@st.composite
def spec_pairs(draw: st.DrawFn, listen_ports: Sequence[int]) -> tuple[DeviceSpec, DeviceSpec]:
    """Draw two specs for one device. They share keys and prefixes, so that many prefixes move between peers."""
    keys = st.sampled_from(draw(st.lists(public_keys(), min_size=4, max_size=4, unique=True)))
    pool = st.sampled_from(draw(st.lists(prefixes(), min_size=6, max_size=6, unique=True)))
    peers = peer_maps(keys, pool, max_size=4)
    specs: SearchStrategy[DeviceSpec] = device_specs(peers=peers, listen_port=st.sampled_from(listen_ports))
    return draw(specs), draw(specs)


def without_counters(state: DeviceState) -> DeviceState:
    """Return the device without handshakes and counters, which change by themselves."""
    return replace(state, peers={key: _peer_without_counters(peer) for key, peer in state.peers.items()})


def _peer_without_counters(peer: PeerState) -> PeerState:
    return replace(peer, last_handshake=None, rx_bytes=0, tx_bytes=0)


def expected_state(spec: DeviceSpec, before: DeviceState) -> DeviceState:
    """Return the device that must result if `spec` is applied to `before`: fields that the spec omits stay."""
    return DeviceState(
        private_key=spec.private_key,
        listen_port=spec.listen_port,
        fwmark=spec.fwmark,
        mtu=before.mtu if spec.mtu is None else spec.mtu,
        up=True,
        addresses=spec.addresses,
        peers={key: _expected_peer(peer, before.peers.get(key)) for key, peer in spec.peers.items()},
    )


def _expected_peer(spec: PeerSpec, before: PeerState | None) -> PeerState:
    return PeerState(
        public_key=spec.public_key,
        allowed_ips=spec.allowed_ips,
        endpoint=spec.endpoint or (before.endpoint if before else None),
        persistent_keepalive=spec.persistent_keepalive,
        preshared_key=spec.preshared_key,
    )


def check_equal(found: object, wanted: object) -> None:
    """Raise AssertionError unless the values are equal."""
    if found != wanted:
        raise AssertionError(differences(found, wanted))


async def expect_error(call: Awaitable[None], error: type[E]) -> E:
    """Return the error that the call raises; AssertionError if it does not raise an `error`."""
    try:
        await call
    except error as caught:
        return caught
    raise AssertionError(f"the call did not raise {error.__name__}")


async def completes_within(delay_s: float, call: Awaitable[None]) -> bool:
    """Return True if the call completes within `delay_s`; otherwise cancel it and return False."""
    try:
        async with asyncio.timeout(delay_s):
            await call
    except TimeoutError:
        return False
    return True


async def event_arrives(
    events: AsyncIterator[DeviceEvent],
    action: Callable[[], Awaitable[None]],
    wanted: DeviceEvent,
    *,
    or_end: bool = True,
) -> bool:
    """Repeat an action until the wanted event arrives. Return False if the events end and `or_end` allows it.

    The action is repeated because the backend may not listen yet when it is first done.
    """
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(_wait_for(events, wanted))
        while not listening.done():
            await action()
            await asyncio.wait({listening}, timeout=0.1)
    if not (listening.result() or or_end):
        raise AssertionError(f"the events ended before {wanted}")
    return listening.result()


async def _wait_for(events: AsyncIterator[DeviceEvent], wanted: DeviceEvent) -> bool:
    async with AsyncExitStack() as stack:
        if isinstance(events, AsyncGenerator):
            await stack.enter_async_context(aclosing(events))
        async for event in events:
            if event == wanted:
                return True
    return False


async def read_device(backend: Backend, ifname: str) -> DeviceState:
    """Read a device without handshakes and counters; AssertionError if it is absent."""
    state = await backend.read(ifname)
    if state is None:
        raise AssertionError("the device is absent")
    return without_counters(state)


async def allowed_ips_by_number(backend: Backend, ifname: str) -> dict[int, frozenset[Prefix]]:
    """Return the allowed IPs of each peer by the number of its public key."""
    state = await read_device(backend, ifname)
    return {int.from_bytes(key, "big"): peer.allowed_ips for key, peer in state.peers.items()}


async def session_of(backend: Backend, ifname: str, peer: PublicKey) -> PeerState:
    """Return a peer as it is read; AssertionError if it has no handshake or no traffic."""
    state = await backend.read(ifname)
    found = state.peers.get(peer) if state else None
    if not found:
        raise AssertionError("the peer of the session is missing")
    if not (found.last_handshake and found.rx_bytes and found.tx_bytes):
        raise AssertionError(f"a handshake was completed, and the peer shows {counters_of(found)}")
    return found


def counters_of(peer: PeerState) -> str:
    """Return the handshake and the traffic of a peer in words."""
    return f"last_handshake {peer.last_handshake}, rx_bytes {peer.rx_bytes}, tx_bytes {peer.tx_bytes}"


async def new_device(backend: Backend, ifname: str) -> DeviceState:
    """Delete the device if it exists, create it, and return it."""
    await backend.delete(ifname)
    await backend.create(ifname)
    return await read_device(backend, ifname)


async def apply_spec(backend: Backend, ifname: str, spec: DeviceSpec) -> DeviceState:
    """Apply the difference between the device and `spec`; AssertionError unless the device shows the spec then."""
    before = await read_device(backend, ifname)
    await backend.apply(ifname, diff(spec, before))
    after = await read_device(backend, ifname)
    check_equal(after, expected_state(spec, before))
    return after


async def apply_specs(backend: Backend, ifname: str, *specs: DeviceSpec) -> None:
    """Create a new device and apply the specs one after the other."""
    await new_device(backend, ifname)
    for spec in specs:
        await apply_spec(backend, ifname, spec)
