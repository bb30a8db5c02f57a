"""A reader that is not ours agrees with what the backends wrote."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_backends.netlink import open_netlink
from ikto_backends.wgtool import open_wgtool
from ikto_core.device.backend import Backend, BackendContext
from ikto_core.device.model import DeviceSpec, PeerSpec
from ikto_core.testing.devices import apply_spec, new_device, private_key_of, spec_of
from tests.kernel.showconf import Section, showconf

ONE = "ikto-kit0"


@pytest.fixture(params=[open_netlink, open_wgtool])
async def backend(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Backend]:
    async with AsyncExitStack() as stack:
        backend = await stack.enter_async_context(request.param(BackendContext(ifname=ONE, state_dir=tmp_path)))
        stack.push_async_callback(backend.delete, ONE)
        yield backend


def section_of(peer: PeerSpec) -> Section:
    """What `wg showconf` says of a peer besides its key; it leaves out what is off."""
    shown = {"AllowedIPs": ", ".join(sorted(map(str, peer.allowed_ips))), "Endpoint": str(peer.endpoint)}
    if peer.persistent_keepalive:
        shown["PersistentKeepalive"] = str(peer.persistent_keepalive)
    if peer.preshared_key:
        shown["PresharedKey"] = peer.preshared_key.text
    return shown


async def test_wg_showconf_agrees_with_what_was_written(backend: Backend) -> None:
    await new_device(backend, ONE)
    for count in (9, 4):
        plain = spec_of(count, listen_port=42000)
        kept = {key: replace(peer, persistent_keepalive=25) for key, peer in plain.peers.items() if key[-1] % 2}
        spec: DeviceSpec = replace(plain, peers={**plain.peers, **kept})
        await apply_spec(backend, ONE, spec)
        interface, peers = showconf(ONE)
        assert interface == {"ListenPort": "42000", "FwMark": "0x7", "PrivateKey": private_key_of(1).text}
        assert peers == {key.text: section_of(peer) for key, peer in spec.peers.items()}
