"""The contract kits as the authors of plugins inherit them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, assert_type

import pytest

from ikto_core.plugins import Backend, BackendPlugin, IpamPlugin, PrivateKey
from ikto_core.testing import BackendContract, IpamContract, LinuxContract


class TestMyBackend(BackendContract):
    unsupported: ClassVar[Mapping[str, str]] = {"C14": "no link-local peers on this device"}
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


class TestMyStrategy(IpamContract):
    deterministic = True
    names = ("rack-1", "rack-2")

    @pytest.fixture
    def plugin(self) -> IpamPlugin:
        raise NotImplementedError
