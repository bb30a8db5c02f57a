"""The kits as authors inherit them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, assert_type

import pytest

from ikto_core.backend import Backend, BackendPlugin
from ikto_core.ipam.contract import IpamPlugin, IpamRequest
from ikto_core.keys import PrivateKey
from ikto_core.testing import BackendContract, IpamContract, LinuxContract
from ikto_core.testing.ipam_requests import ask


class TestMine(BackendContract):
    unsupported: ClassVar[Mapping[str, str]] = {"C14": "it has no links"}
    other_kind = "lo"

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        raise NotImplementedError

    def unprivileged(self) -> AbstractContextManager[None]:
        return nullcontext()

    async def establish(self, backend: Backend, ifname: str, peer: PrivateKey) -> None:
        assert_type(peer, PrivateKey)


class TestOnLinux(LinuxContract):
    programs = ("wg", "wireguard-go")


class TestStrategy(IpamContract):
    unsupported: ClassVar[Mapping[str, str]] = {"I6": "a node has one place"}
    deterministic = True
    names = ("r1-u1",)
    unservable = ("web",)

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        raise NotImplementedError


def asked() -> None:
    assert_type(ask("fd10::/16", 48, name="r1-u1"), IpamRequest)
