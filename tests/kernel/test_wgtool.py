"""The wgtool backend keeps the contract on the kernel's own WireGuard."""

from typing import ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings

from ikto_backends.wgtool import ikto_register_backends
from ikto_core.device.backend import Backend, BackendPlugin
from ikto_core.lab.network import run
from ikto_core.testing import LinuxContract
from ikto_core.testing.devices import new_device


class TestWgToolContract(LinuxContract):
    examples: ClassVar[settings] = settings(  # each takes dozens of processes
        max_examples=2,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    patience_s: ClassVar[float] = 300.0

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        [plugin] = ikto_register_backends()
        return plugin

    async def test_the_kernels_wireguard_is_preferred_to_a_userspace_one(self, backend: Backend, ifname: str) -> None:
        await new_device(backend, ifname)
        assert " wireguard " in run("ip", "-oneline", "-details", "link", "show", ifname)
