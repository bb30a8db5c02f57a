"""The plugin is found by its entry point, checks its settings, and writes what it is told."""

import json
from pathlib import Path

import pytest

from ikto_core.plugins import (
    ConfigError,
    IktoError,
    ObserverContext,
    PeerAccepted,
    PeerFacts,
    Resync,
    load_plugins,
)

PEER = PeerFacts(
    public_key="A" * 43 + "=",
    name="node-b",
    subnets=("fd10:2::/48",),
    addresses=("fd10:2::1",),
    endpoints=(),
    revision=7,
)


def context(directory: Path) -> ObserverContext:
    return ObserverContext(argument="", ifname="wg0", mesh_cidr="fd10::/16", name="node-a", state_dir=directory)


async def test_the_file_has_the_peers(tmp_path: Path) -> None:
    path = tmp_path / "mesh.json"
    plugin = load_plugins(settings={"acme": {"path": str(path)}}).observer("acme")
    async with plugin.open(context(tmp_path)) as observer:
        await observer.see([Resync(peers=1, quarantined=0), PeerAccepted(peer=PEER)])
        assert [peer["name"] for peer in json.loads(path.read_bytes())] == ["node-b"]
        await observer.see([Resync(peers=0, quarantined=0)])
        assert json.loads(path.read_bytes()) == []


async def test_a_file_that_can_not_be_written_is_an_error_with_a_hint(tmp_path: Path) -> None:
    plugin = load_plugins(settings={"acme": {"path": f"{tmp_path}/missing/mesh.json"}}).observer("acme")
    async with plugin.open(context(tmp_path)) as observer:
        with pytest.raises(IktoError, match="can't write") as caught:
            await observer.see([Resync(peers=0, quarantined=0)])
        assert caught.value.hint


def test_the_path_must_be_given() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.acme\.path: is missing"):
        load_plugins().observer("acme")
