"""Run by test_wgtool_namespace.py in a network namespace: the contract kit, and tests of userspace devices."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import textwrap
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import Phase, settings
from msgspec.structs import replace

from ikto_backends.wgtool import WgToolBackend, ikto_register_backends, open_wgtool
from ikto_core.device.backend import Backend, BackendContext, BackendPlugin, DeviceEvent, DeviceEventKind, read_peers
from ikto_core.device.model import DevicePatch
from ikto_core.device.reconciler import Reconciler
from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.lab.unprivileged import as_nobody
from ikto_core.linux import programs, userspace
from ikto_core.linux.userspace import socket_of, wait_until_ended
from ikto_core.linux.wireguard import wireguard_keys
from ikto_core.mesh.records import PeerRecord, encode_record
from ikto_core.mesh.view import Entry, MeshView
from ikto_core.testing import LinuxContract
from ikto_core.testing.devices import apply_spec, create, new_device, public_key_of, read_device, spec_of
from ikto_core.values.keys import PresharedKey
from tests.device.reconciling import RULES, record
from tests.effort import max_examples

THERE = os.environ["IKTO_TEST_THERE"]  # the namespace at the other end of the veth pair; this one has 192.0.2.1
WG = "ikto-wg0"
PORT = 42100


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[Backend]:
    async with open_wgtool(BackendContext(ifname=WG, state_dir=tmp_path)) as backend:
        yield backend
        await backend.delete(WG)


class TestWgTool(LinuxContract):
    unsupported: ClassVar[Mapping[str, str]] = {"C14": "wireguard-go 0.0.20220316 does not show the scope"}
    examples: ClassVar[settings] = settings(
        max_examples=max_examples(15), phases=[Phase.generate]
    )  # each one runs dozens of processes

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        [plugin] = ikto_register_backends()
        return plugin


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, timeout=60, stdout=subprocess.PIPE, text=True).stdout


def processes() -> list[int]:
    """Return the process ids of the userspace WireGuard devices of this namespace."""
    here = os.stat("/proc/self/ns/net").st_ino  # noqa: PTH116 - Path.stat is no shorter
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().startswith("wireguard-go") and (process / "ns/net").stat().st_ino == here:
                found.append(int(process.name))
        except FileNotFoundError:  # ended meanwhile
            continue
    return found


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


async def test_the_device_and_its_process_outlive_the_program_that_created_them(backend: Backend) -> None:
    program = f"""
        import asyncio
        from ikto_backends.wgtool import WgToolBackend
        from ikto_core.testing.devices import apply_spec, spec_of
        async def main():
            await WgToolBackend().create({WG!r})
            await apply_spec(WgToolBackend(), {WG!r}, spec_of(3, listen_port={PORT}))
        asyncio.run(main())
    """
    run(sys.executable, "-W", "error", "-c", textwrap.dedent(program))
    assert set((await read_device(backend, WG)).peers) == set(spec_of(3, listen_port=PORT).peers)
    [pid] = processes()
    assert os.getsid(pid) not in {os.getsid(0), 0}


async def test_delete_ends_the_process_and_removes_its_socket(backend: Backend) -> None:
    await new_device(backend, WG)
    assert len(processes()) == 1
    await backend.delete(WG)
    assert not socket_of(WG).exists()
    while processes():
        await asyncio.sleep(0.01)


async def test_a_deleted_device_can_be_created_again_at_once(backend: Backend) -> None:
    for _ in range(5):
        await backend.delete(WG)
        await new_device(backend, WG)
        run("ip", "link", "delete", WG)
        await backend.create(WG)


async def test_a_device_whose_process_was_killed_can_be_created_again(backend: Backend) -> None:
    await device_with_peers(backend, 2)
    [pid] = processes()
    os.kill(pid, signal.SIGKILL)
    while WG in dict(socket.if_nameindex()).values():  # the process is gone a moment before its device
        await asyncio.sleep(0.01)
    assert await backend.read(WG) is None
    assert socket_of(WG).exists()
    await backend.create(WG)
    assert (await read_device(backend, WG)).peers == {}


async def test_a_device_of_another_kind_is_refused_and_unchanged(backend: Backend) -> None:
    run("ip", "tuntap", "add", "dev", "ikto-tun0", "mode", "tun")
    try:
        for call in (
            backend.read("ikto-tun0"),
            backend.create("ikto-tun0"),
            backend.apply("ikto-tun0", DevicePatch(up=True)),
            backend.apply("ikto-tun0", DevicePatch(peers=(create(1),))),
            backend.apply("ikto-tun0", DevicePatch(remove_peers=frozenset({public_key_of(1)}))),
            backend.apply("ikto-tun0", DevicePatch(listen_port=4444)),
            backend.delete("lo"),
            backend.delete("ikto-tun0"),
        ):
            with pytest.raises(BackendError, match="is not a WireGuard device"):
                await call
        run("ip", "link", "show", "dev", "ikto-tun0")
    finally:
        run("ip", "link", "delete", "ikto-tun0")


async def test_a_port_in_use_is_an_error_with_a_hint(backend: Backend) -> None:
    await device_with_peers(backend, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        with pytest.raises(BackendError, match="UDP port is in use") as caught:
            await backend.apply(WG, DevicePatch(listen_port=other.getsockname()[1]))
    assert "ss -ulpn" in caught.value.hint


async def test_missing_rights_are_an_error_with_a_hint(backend: Backend) -> None:
    await new_device(backend, WG)
    with as_nobody():
        for call in (backend.create("ikto-wg1"), backend.apply(WG, DevicePatch(mtu=1300))):
            with pytest.raises(BackendError, match="no permission") as caught:
                await call
            assert "CAP_NET_ADMIN" in caught.value.hint


async def test_a_process_that_can_not_start_is_an_error_with_a_hint(backend: Backend) -> None:
    with as_nobody(), pytest.raises(BackendError, match="no permission") as caught:
        await userspace.start_userspace(WG)
    assert "/dev/net/tun" in caught.value.hint
    assert await backend.read(WG) is None


async def test_neither_kernel_wireguard_nor_program_is_an_error_with_a_hint(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WG_QUICK_USERSPACE_IMPLEMENTATION", "no-such-wireguard")
    with pytest.raises(BackendError, match="userspace program 'no-such-wireguard' is not installed") as caught:
        await backend.create(WG)
    assert "modprobe wireguard" in caught.value.hint
    assert "wireguard-go" in caught.value.hint


async def test_another_userspace_program_can_be_named(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = tmp_path / "my-wireguard"
    program.write_text(f'#!/bin/sh\ntouch {tmp_path}/used\nexec wireguard-go "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("WG_QUICK_USERSPACE_IMPLEMENTATION", str(program))
    await new_device(backend, WG)
    assert (tmp_path / "used").exists()


async def test_a_name_served_in_another_namespace_is_refused(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(userspace, "EXIT_TIMEOUT_S", 0.1)
    run("ip", "netns", "exec", THERE, "wireguard-go", WG)
    try:
        with pytest.raises(BackendError, match="answers for this name but has no device here"):
            await backend.create(WG)
        assert await backend.read(WG) is None
        run("wg", "set", WG, "peer", public_key_of(2).text)
        assert await read_peers(backend, WG, {public_key_of(2)}) == {}
        await backend.delete(WG)
        run("ip", "-n", THERE, "link", "show", "dev", WG)
    finally:
        run("ip", "-n", THERE, "link", "delete", WG)


async def test_an_alternative_name_of_a_link_is_refused(backend: Backend) -> None:
    run("ip", "link", "add", "ikto-other", "type", "veth")
    try:
        run("ip", "link", "property", "add", "dev", "ikto-other", "altname", WG)
        for patch in (DevicePatch(peers=(create(1),)), DevicePatch(up=True)):
            with pytest.raises(NoSuchDeviceError):
                await backend.apply(WG, patch)
    finally:
        run("ip", "link", "delete", "ikto-other")


@pytest.mark.parametrize("here", ["nothing", "a link of another kind", "an alternative name of a link"])
async def test_a_device_served_in_another_namespace_is_not_written_to(backend: Backend, here: str) -> None:
    """`wg` finds its socket and would write to it."""
    patches = (
        DevicePatch(peers=(create(1),)),
        DevicePatch(remove_peers=frozenset({public_key_of(2)})),
        DevicePatch(listen_port=4444, mtu=1300),
    )
    run("ip", "netns", "exec", THERE, "wireguard-go", WG)
    try:
        run("wg", "set", WG, "listen-port", "4321", "peer", public_key_of(2).text)
        link = {"nothing": "ikto-other", "a link of another kind": WG, "an alternative name of a link": "ikto-other"}[
            here
        ]
        run("ip", "link", "add", link, "type", "veth")
        if here == "an alternative name of a link":
            run("ip", "link", "property", "add", "dev", link, "altname", WG)
        try:
            for patch in patches:
                with pytest.raises(BackendError, match=r"no device|is not a WireGuard device"):
                    await backend.apply(WG, patch)
        finally:
            run("ip", "link", "delete", link)
        assert run("wg", "show", WG, "peers").split() == [public_key_of(2).text]
        assert run("wg", "show", WG, "listen-port").strip() == "4321"
    finally:
        run("ip", "-n", THERE, "link", "delete", WG)


async def test_a_cancelled_write_leaves_no_program_and_can_be_repaired(backend: Backend) -> None:
    await new_device(backend, WG)
    many = DevicePatch(peers=tuple(create(number) for number in range(1, 2001)))
    for delay_s in (0.0, 0.003, 0.01, 0.03):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(delay_s):
                await backend.apply(WG, many)
        assert not children()
    await apply_spec(backend, WG, spec_of(3, listen_port=PORT))


async def test_events_report_changes_and_the_deletion(backend: Backend) -> None:
    await new_device(backend, WG)
    seen: list[DeviceEvent] = []

    async def watch() -> None:
        async with aclosing(WgToolBackend().events()) as events:
            async for event in events:
                seen.append(event)
                if event.kind is DeviceEventKind.GONE:
                    return

    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch())
        for mtu in range(1300, 1400):  # the monitor prints nothing when it starts
            if seen:
                break
            run("ip", "link", "set", WG, "mtu", str(mtu))
            await asyncio.sleep(0.05)
        run("ip", "link", "delete", WG)
        await watching
    assert not children()
    assert set(seen) == {DeviceEvent(WG, DeviceEventKind.CHANGED), DeviceEvent(WG, DeviceEventKind.GONE)}


async def device_with_peers(backend: Backend, peers: int) -> None:
    await new_device(backend, WG)
    await apply_spec(backend, WG, spec_of(peers, listen_port=PORT))


def test_the_plugin_opens_this_backend(backend: Backend) -> None:
    assert isinstance(backend, WgToolBackend)


async def test_a_pass_for_one_peer_runs_one_program_at_most(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    start = programs.start

    async def counted(argv: tuple[str, ...], **options: Any) -> Process:
        ran.append(" ".join(argv[:2]))
        return await start(argv, **options)

    monkeypatch.setattr(programs, "start", counted)
    view, reconciler = MeshView(RULES), Reconciler(backend, WG)
    view.update({record(number).key: Entry(number, encode_record(record(number))) for number in (1, 2, 3)})
    reconciler.set_target(spec_of(0, listen_port=PORT), view.on_device, 3)
    await reconciler.reconcile()

    async def programs_for(revision: int, changed: PeerRecord, *, deleted: bool = False) -> list[str]:
        ran.clear()
        entry = Entry(revision, None if deleted else encode_record(changed))
        reconciler.mark_changed(view.update({changed.key: entry}), revision)
        await reconciler.reconcile()
        assert (await read_device(backend, WG)).peers.keys() == view.peers.keys()
        return ran[:-2]  # without the last read

    assert await programs_for(4, record(4)) == ["wg addconf"]
    moved = record(2, endpoints=["192.0.2.99:9"])
    assert await programs_for(5, moved) == ["wg set"], "its last handshake is read, and its presence is checked"
    assert str((await read_device(backend, WG)).peers[public_key_of(2)].endpoint) == "192.0.2.99:9"
    assert await programs_for(6, record(3), deleted=True) == ["wg set"]


async def test_a_few_peers_are_read_without_a_program_as_wg_shows_them(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    await backend.create(WG)
    preshared = replace(create(2), preshared_key=PresharedKey(bytes(range(32))), allowed_ips=frozenset())
    many = tuple(create(number) for number in range(3, 600))
    await backend.apply(WG, DevicePatch(listen_port=PORT, peers=(create(1), preshared, *many)))
    state = await read_device(backend, WG)
    with monkeypatch.context() as without_programs:
        without_programs.setattr(programs, "start", None)  # any program would fail
        assert await read_peers(backend, WG, state.peers.keys()) == state.peers
        assert await wireguard_keys(WG) == state.peers.keys()


async def test_a_device_whose_process_was_killed_has_no_peers_to_read(backend: Backend) -> None:
    await backend.create(WG)
    await backend.apply(WG, DevicePatch(peers=(create(1),)))
    [pid] = processes()
    os.kill(pid, signal.SIGKILL)
    await wait_until_ended(WG)
    assert await read_peers(backend, WG, {public_key_of(1)}) == {}
    with pytest.raises(NoSuchDeviceError):
        await backend.apply(WG, DevicePatch(peers=(create(2),)))
