"""The netlink backend in another network namespace, which only one thread enters. See also tests/kernel."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from socket import if_nametoindex

import pytest

from ikto_backends.fake import open_fake
from ikto_backends.netlink import open_netlink
from ikto_backends.netlink.namespace import open_namespace
from ikto_backends.wgtool import open_wgtool
from ikto_core.device.backend import BackendContext
from ikto_core.errors import BackendError
from ikto_core.lab.unprivileged import as_nobody

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to create a network namespace")
NETNS = f"ikto-{os.getpid()}-elsewhere"
LINK = f"ikto-{os.getpid()}"[:15]


@pytest.fixture
def netns() -> Iterator[str]:
    """A network namespace with a link that is not a WireGuard device."""
    try:
        for arguments in (("netns", "add", NETNS), ("-n", NETNS, "link", "add", LINK, "type", "bridge")):
            subprocess.run(("ip", *arguments), check=True, timeout=30)
        yield NETNS
    finally:
        subprocess.run(("ip", "netns", "delete", NETNS), check=False, capture_output=True, timeout=30)


def current_namespace() -> Path:
    return Path("/proc/thread-self/ns/net").readlink()


def named(netns: str) -> Path:
    return Path("/var/run/netns") / netns


@ROOT
@pytest.mark.parametrize("by", ["{}", "/var/run/netns/{}"])
async def test_links_are_read_in_the_namespace_and_the_agents_thread_stays_outside(
    netns: str, by: str, tmp_path: Path
) -> None:
    before = current_namespace()
    context = BackendContext(ifname=LINK, state_dir=tmp_path, netns=by.format(netns))
    async with open_netlink(context) as backend:
        with pytest.raises(BackendError, match="is not a WireGuard device"):
            await backend.read(LINK)
        assert current_namespace() == before
    async with open_netlink(BackendContext(ifname=LINK, state_dir=tmp_path)) as backend:
        assert await backend.read(LINK) is None


@ROOT
async def test_scopes_are_looked_up_in_the_agents_own_namespace(netns: str) -> None:
    """The other namespace has a link that the agent's own lacks, and `lo` may have another index there."""
    async with open_namespace(netns) as namespace:
        number = await namespace.run(lambda: namespace.scope_id("lo"))
        assert number == if_nametoindex("lo")
        assert await namespace.run(lambda: namespace.scope_name(number)) == "lo"
        for unknown in (lambda: namespace.scope_id(LINK), lambda: namespace.scope_id("lo" * 8)):
            with pytest.raises(OSError, match=r"No such device|at most 15 bytes"):
                await namespace.run(unknown)
        with pytest.raises(OSError, match="No such device"):
            await namespace.run(lambda: namespace.scope_name(2**31 - 1))


async def test_a_missing_namespace_is_not_created(tmp_path: Path) -> None:
    context = BackendContext(ifname=LINK, state_dir=tmp_path, netns=NETNS)
    with pytest.raises(BackendError, match=f"there is no network namespace .*{NETNS}") as caught:
        async with open_netlink(context):
            pass
    assert f"ip netns add {NETNS}" in caught.value.hint
    assert not named(NETNS).exists()


@ROOT
async def test_a_path_that_is_not_a_namespace_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BackendError, match="it is not a network namespace") as caught:
        async with open_netlink(BackendContext(ifname=LINK, state_dir=tmp_path, netns=str(tmp_path / "file"))):
            pass
    assert "ip netns" in caught.value.hint


@ROOT
async def test_missing_rights_to_enter_are_an_error_with_a_hint(netns: str, tmp_path: Path) -> None:
    with as_nobody(), pytest.raises(BackendError, match="no permission") as caught:
        async with open_netlink(BackendContext(ifname=LINK, state_dir=tmp_path, netns=netns)):
            pass
    assert "CAP_SYS_ADMIN" in caught.value.hint


async def test_wgtool_refuses_a_namespace_and_fake_ignores_it(tmp_path: Path) -> None:
    context = BackendContext(ifname=LINK, state_dir=tmp_path, netns=NETNS)
    with pytest.raises(BackendError, match="wgtool does not support devices in another network namespace") as caught:
        async with open_wgtool(context):
            pass
    assert "netlink" in caught.value.hint
    async with open_fake(context) as backend:  # its devices are in memory
        assert await backend.read(LINK) is None
