"""The netlink backend on hosts unlike the usual one: other namespaces, no rights, no IPv6."""

import asyncio
import os
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from ipaddress import ip_interface
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_backends.netlink import open_netlink
from ikto_core.device.backend import Backend, BackendContext, DeviceEvent, DeviceEventKind
from ikto_core.device.model import DevicePatch, PeerSpec
from ikto_core.errors import BackendError
from ikto_core.testing.devices import (
    apply_spec,
    create,
    event_arrives,
    new_device,
    private_key_of,
    public_key_of,
    read_device,
    spec_of,
)
from ikto_core.values.addressing import Endpoint, Prefix

NETNS = f"ikto-{os.getpid()}"
WG = "ikto-kit0"
FAR = "ikto-far0"
PORT, FAR_PORT = 42020, 42021
SPEC = spec_of(3, listen_port=PORT)


def run(*argv: str, stdin: str = "") -> str:
    return subprocess.run(argv, input=stdin, check=True, capture_output=True, text=True, timeout=120).stdout


@contextmanager
def undone(*argv: str) -> Iterator[None]:
    try:
        yield
    finally:
        subprocess.run(argv, check=False, capture_output=True, timeout=120)


@pytest.fixture
def netns() -> Iterator[str]:
    with undone("ip", "netns", "delete", NETNS):
        run("ip", "netns", "add", NETNS)
        yield NETNS


@pytest.fixture
async def elsewhere(netns: str, tmp_path: Path) -> AsyncIterator[Backend]:
    async with open_netlink(BackendContext(ifname=WG, state_dir=tmp_path, netns=netns)) as backend:
        yield backend
        await backend.delete(WG)


def links_of(*namespace: str) -> list[str]:
    return [line.split(":")[1].strip() for line in run("ip", *namespace, "-oneline", "link").splitlines()]


async def refusal_of(call: Awaitable[None]) -> BackendError | None:
    try:
        await call
    except BackendError as error:
        return error
    return None


async def test_a_device_exists_in_its_namespace_only(elsewhere: Backend, backend: Backend) -> None:
    await new_device(elsewhere, WG)
    await apply_spec(elsewhere, WG, SPEC)
    assert WG in links_of("-n", NETNS)
    assert WG not in links_of()
    assert await backend.read(WG) is None
    both = frozenset({ip_interface("10.98.0.1/24"), ip_interface("fd98::1/64")})
    for patch in (DevicePatch(add_addresses=both), DevicePatch(up=False), DevicePatch(up=True)):
        await elsewhere.apply(WG, patch)
        assert (await read_device(elsewhere, WG)).addresses == both | SPEC.addresses
    await elsewhere.delete(WG)
    assert links_of("-n", NETNS) == ["lo"]


async def test_the_tunnel_of_a_device_elsewhere_runs_through_the_agents_own_namespace(elsewhere: Backend) -> None:
    """The device's namespace has nothing but the device; who pings in it is answered through our loopback."""
    far = private_key_of(2)
    peer = PeerSpec(
        public_key=far.public(),
        allowed_ips=frozenset({Prefix.parse("10.78.0.2/32")}),
        endpoint=Endpoint("127.0.0.1", FAR_PORT),
    )
    await new_device(elsewhere, WG)
    await apply_spec(elsewhere, WG, replace(SPEC, peers={peer.public_key: peer}))
    config = f"""
        [Interface]
        PrivateKey = {far.text}
        ListenPort = {FAR_PORT}
        [Peer]
        PublicKey = {private_key_of(1).public().text}
        AllowedIPs = 10.78.0.1/32
    """
    with undone("ip", "link", "delete", FAR):
        run("ip", "link", "add", FAR, "type", "wireguard")
        run("wg", "setconf", FAR, "/dev/stdin", stdin=textwrap.dedent(config))
        run("ip", "address", "add", "10.78.0.2/16", "dev", FAR)
        run("ip", "link", "set", FAR, "up")
        run("ip", "netns", "exec", NETNS, "ping", "-c", "1", "-W", "60", "10.78.0.2")
    assert set(links_of("-n", NETNS)) == {"lo", WG}


async def test_the_scope_of_an_endpoint_is_a_link_of_the_agents_own_namespace(elsewhere: Backend) -> None:
    """For there is the UDP socket."""
    await new_device(elsewhere, WG)
    with undone("ip", "link", "delete", "ikto-dummy0"):
        run("ip", "link", "add", "ikto-dummy0", "type", "dummy")
        endpoint = Endpoint.parse("[fe80::1%ikto-dummy0]:9")
        await elsewhere.apply(WG, DevicePatch(peers=(replace(create(1), endpoint=endpoint),)))
        assert (await read_device(elsewhere, WG)).peers[public_key_of(1)].endpoint == endpoint


async def test_events_are_those_of_the_namespace(elsewhere: Backend) -> None:
    async def change() -> None:
        run("ip", "-n", NETNS, "link", "set", WG, "mtu", "1300")
        run("ip", "-n", NETNS, "link", "set", WG, "mtu", "1400")

    await new_device(elsewhere, WG)
    async with asyncio.timeout(300):
        assert await event_arrives(elsewhere.events(), change, DeviceEvent(WG, DeviceEventKind.CHANGED))


async def test_a_device_of_the_same_name_in_the_agents_own_namespace_stays(
    elsewhere: Backend, backend: Backend
) -> None:
    """Linux before 6.15 looks for the name in both namespaces; later ones make the device."""
    await new_device(backend, WG)
    await backend.apply(WG, DevicePatch(mtu=1333))
    if refusal := await refusal_of(elsewhere.create(WG)):
        assert "the agent's own network namespace has a device of that name" in str(refusal)
        assert "wg_dev_name" in refusal.hint
    assert (WG in links_of("-n", NETNS)) == (refusal is None)
    assert (await read_device(backend, WG)).mtu == 1333


async def test_a_host_without_ipv6_says_so(elsewhere: Backend) -> None:
    off = ("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
    run("ip", "netns", "exec", NETNS, "sysctl", "-qw", *off)
    await new_device(elsewhere, WG)
    patch = partial(DevicePatch, up=True)
    with pytest.raises(BackendError, match="IPv6 is disabled on this host") as caught:
        await elsewhere.apply(WG, patch(add_addresses=frozenset({ip_interface("fd98::1/64")})))
    assert "sysctl net.ipv6.conf.all.disable_ipv6=0" in caught.value.hint
    await elsewhere.apply(WG, patch(add_addresses=frozenset({ip_interface("10.98.0.1/24")})))


MAKES_A_DEVICE = f"""
    import asyncio, pathlib
    from ikto_backends.netlink import open_netlink
    from ikto_core.device.backend import BackendContext
    from ikto_core.errors import BackendError
    from ikto_core.testing.devices import apply_spec, new_device, spec_of
    async def main():
        async with open_netlink(BackendContext(ifname={WG!r}, state_dir=pathlib.Path())) as backend:
            await new_device(backend, {WG!r})
            await apply_spec(backend, {WG!r}, spec_of(3, listen_port={PORT}))
    try:
        asyncio.run(main())
        print("made")
    except BackendError as error:
        print(error, error.hint)
"""


@pytest.mark.parametrize(
    ("capabilities", "said"),
    [("-all", "no permission run as root, or with the capability CAP_NET_ADMIN"), ("-all,+net_admin", "made")],
)
@pytest.mark.usefixtures("backend")  # it removes the device
def test_one_capability_suffices_and_is_named_where_it_is_missing(capabilities: str, said: str) -> None:
    nobody = ("--reuid=65534", "--regid=65534", "--clear-groups")
    rights = (f"--inh-caps={capabilities}", f"--ambient-caps={capabilities}")
    program = textwrap.dedent(MAKES_A_DEVICE)
    assert said in run("setpriv", *nobody, *rights, sys.executable, "-c", program)
