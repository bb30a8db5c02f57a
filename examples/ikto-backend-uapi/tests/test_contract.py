"""The backend keeps Ikto's contract on a real wireguard-go."""

import pytest

from ikto_backend_uapi import ikto_register_backends
from ikto_core.backend import BackendPlugin
from ikto_core.testing import LinuxContract


class TestUapi(LinuxContract):
    programs = ("wg", "wireguard-go")
    unsupported = {"C14": "wireguard-go 0.0.20220316 does not show the scope"}  # noqa: RUF012 - nobody changes it

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        [plugin] = ikto_register_backends()
        return plugin
