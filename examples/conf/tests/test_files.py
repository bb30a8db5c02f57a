"""Ikto finds the backend; its files; what it does not support is an error with a hint."""

import subprocess
from pathlib import Path

import pytest

from ikto_conf import conf, ikto_register_backends, open_conf
from ikto_core.plugins import (
    BackendContext,
    BackendError,
    BackendPlugin,
    ConfigError,
    DevicePatch,
    DeviceState,
    Endpoint,
    PeerState,
    Prefix,
    PrivateKey,
    PublicKey,
    load_plugins,
    with_settings,
)

KEY, PEER, MOVED = PrivateKey(bytes([8] * 32)), PublicKey(bytes([1] * 32)), PublicKey(bytes([2] * 32))
PLACE = Endpoint("192.0.2.7", 51820)
STATE = DeviceState(
    private_key=KEY,
    listen_port=7,
    peers={key: PeerState(public_key=key, allowed_ips=frozenset({Prefix.parse("fd10::/64")})) for key in (PEER, MOVED)},
)


def test_it_is_found_by_its_name_with_its_settings() -> None:
    plugin = load_plugins(settings={"conf": {"directory": "/run/conf"}}).backend("conf")
    assert plugin.name == "conf"
    with pytest.raises(ConfigError, match="directory"):
        load_plugins(settings={"conf": {"directory": ""}}).backend("conf")


def test_a_peer_keeps_an_endpoint_that_is_not_named() -> None:
    text = "".join(conf(STATE, {PEER: PLACE}, "MTU = 1420\n"))
    assert text.startswith(f"[Interface]\nMTU = 1420\nPrivateKey = {KEY.text}\nListenPort = 7\nFwMark = 0\n[Peer]\n")
    assert text.count("[Peer]") == 2
    assert text.count("Endpoint") == text.count("Endpoint = 192.0.2.7:51820") == 1


def plugin_for(directory: Path) -> BackendPlugin:
    [plugin] = ikto_register_backends()
    return with_settings(plugin, {"directory": str(directory)})


async def test_another_namespace_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match="netns") as caught:
        async with open_conf(BackendContext(ifname="wg0", state_dir=tmp_path, netns="blue")):
            pass
    assert caught.value.hint


async def test_a_directory_that_does_not_exist_is_an_error_with_a_hint(tmp_path: Path) -> None:
    async with plugin_for(tmp_path / "none").open(BackendContext(ifname="wg0", state_dir=tmp_path)) as backend:
        with pytest.raises(BackendError, match="none: can't be used") as caught:
            await backend.apply("wg0", DevicePatch(mtu=1400))
    assert "mkdir" in caught.value.hint


def test_wg_quick_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "wg0.conf"
    path.write_text("".join(conf(STATE, {}, "Address = 10.0.0.1/16\nMTU = 1420\n")))
    path.chmod(0o600)
    done = subprocess.run(["wg-quick", "strip", str(path)], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "".join(conf(STATE, {})).strip()
