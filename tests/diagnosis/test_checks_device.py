"""Checks of the device fail for a foreign device, a port in use, and a device that is not in sync."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from ikto_backends.fake import FakeHost
from ikto_core.device.model import DevicePatch
from ikto_core.diagnosis.checks_device import in_sync_findings, saved_state
from ikto_core.lab.network import run
from ikto_core.lab.own_network import own_network, why_no_network
from ikto_core.plugins.check_contract import Level
from ikto_core.values.keys import PrivateKey
from tests.cli.test_status import DEGRADED, DEVICE, STATUS
from tests.diagnosis.checking import levels, node_to_check, only_finding, write_state

OWN = PrivateKey(bytes([1] * 32)).clamped()
OTHER = PrivateKey(bytes([2] * 32)).clamped()
needs_userspace = pytest.mark.skipif(
    bool(why_no_network("wg", "wireguard-go")), reason=why_no_network("wg", "wireguard-go")
)


async def make_device(directory: Path, key: PrivateKey | None) -> None:
    async with FakeHost(directory / "state").open() as backend:
        await backend.create("wg0")
        await backend.apply("wg0", DevicePatch(private_key=key, up=True))


async def test_a_device_with_another_key_is_an_error(tmp_path: Path) -> None:
    await make_device(tmp_path, OTHER)
    found = await only_finding(node_to_check(tmp_path, key=OWN), "device")
    assert found.level is Level.ERROR
    assert found.text == f"wg0: the device has a private key that is none of this node's (public key {OTHER.public()})"
    assert "ip link delete wg0" in found.fix


async def test_a_device_that_is_to_be_adopted_is_a_warning(tmp_path: Path) -> None:
    await make_device(tmp_path, OTHER)
    assert (await only_finding(node_to_check(tmp_path, key=OWN, adopt_device=True), "device")).level is Level.WARNING


async def test_a_device_with_a_key_from_before_a_rotation_is_this_nodes(tmp_path: Path) -> None:
    await make_device(tmp_path, OTHER)
    write_state(tmp_path, keys=[str(OTHER.public()), str(OWN.public())])
    assert (await only_finding(node_to_check(tmp_path, key=OWN), "device")).level is Level.OK


@pytest.mark.parametrize("key", [OWN, None])
async def test_a_device_with_this_nodes_key_or_none_is_fine(tmp_path: Path, key: PrivateKey | None) -> None:
    await make_device(tmp_path, key)
    assert (await only_finding(node_to_check(tmp_path, key=OWN), "device")).level is Level.OK


async def test_no_device_is_an_error_only_beside_a_running_agent(tmp_path: Path) -> None:
    assert (await only_finding(node_to_check(tmp_path), "device")).level is Level.OK
    assert (await only_finding(node_to_check(tmp_path, status=STATUS), "device")).level is Level.ERROR


async def test_a_link_of_another_kind_is_an_error(tmp_path: Path) -> None:
    found = await only_finding(node_to_check(tmp_path, backend="wgtool", wg_dev_name="lo0"), "device")
    assert found.level is Level.OK
    if why_no_network():
        pytest.skip(why_no_network())
    with own_network():
        run("ip", "link", "add", "lo0", "type", "bridge")
        found = await only_finding(node_to_check(tmp_path, backend="wgtool", wg_dev_name="lo0"), "device")
    assert "lo0 is not a WireGuard device" in found.text
    assert found.level is Level.ERROR


@needs_userspace
async def test_a_real_device_of_somebody_else_is_an_error_and_stays_as_it_is(tmp_path: Path) -> None:
    key = tmp_path / "other"
    key.write_text(f"{OTHER.text}\n")
    with own_network():
        run("wireguard-go", "wgdoc0")
        run("wg", "set", "wgdoc0", "private-key", str(key))
        before = run("wg", "show", "wgdoc0", "dump")
        found = await only_finding(node_to_check(tmp_path, key=OWN, backend="wgtool", wg_dev_name="wgdoc0"), "device")
        assert run("wg", "show", "wgdoc0", "dump") == before
    assert found.level is Level.ERROR
    assert str(OTHER.public()) in found.text


def test_a_damaged_state_file_stays_where_it_is(tmp_path: Path) -> None:
    write_state(tmp_path)
    (tmp_path / "state/state.json").write_text("{")
    assert saved_state(node_to_check(tmp_path)).claim is None
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["state.json"]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_port_in_use_is_an_error(tmp_path: Path, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as other:
        other.bind((address, 0))
        node = node_to_check(tmp_path, backend="wgtool", wg_dev_name="wgdoc1", wg_port=other.getsockname()[1])
        found = await only_finding(node, "port")
        assert found.level is Level.ERROR
        assert "ss -ulnp" in found.fix
    assert (await only_finding(node, "port")).level is Level.OK


async def test_the_port_of_this_nodes_own_device_is_fine(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.bind(("127.0.0.1", 0))
        port = device.getsockname()[1]
        status = replace(STATUS, device=replace(DEVICE, listen_port=port))
        node = node_to_check(tmp_path, status=status, backend="wgtool", wg_port=port)
        assert (await only_finding(node, "port")).level is Level.OK


IN_SYNC: list[tuple[Callable[[], object], str, str]] = [
    (lambda: STATUS, "ok", "wg0 shows revision 41 of the bucket"),
    (lambda: DEGRADED, "error", "wg0: no buffer space"),
    (lambda: replace(STATUS, device_stuck=True), "error", "a call of the backend fake does not return"),
    (lambda: replace(STATUS, device=None), "error", "there is no device wg0"),
    (lambda: replace(STATUS, device=replace(DEVICE, up=False)), "error", "wg0 is down"),
    (lambda: replace(STATUS, bucket_revision=43), "warning", "wg0 is 2 revisions behind the bucket"),
]


@pytest.mark.parametrize(("status", "level", "text"), IN_SYNC)
def test_a_device_that_is_not_in_sync_is_reported(status: Callable[[], object], level: str, text: str) -> None:
    (found,) = findings = in_sync_findings(status())  # type: ignore[arg-type]
    assert (levels(findings), found.text) == ([level], text)
