"""Ikto's contract kit on real devices."""

from pathlib import Path

import pytest

from ikto_conf import ikto_register_backends
from ikto_core.plugins import BackendPlugin, with_settings
from ikto_core.testing import LinuxContract


class TestConf(LinuxContract):
    programs = ("wg", "wireguard-go")
    unsupported = {"C14": "wireguard-go 0.0.20220316 does not show the scope"}  # noqa: RUF012 - never changed

    @pytest.fixture
    def plugin(self, tmp_path: Path) -> BackendPlugin:
        [plugin] = ikto_register_backends()
        return with_settings(plugin, {"directory": str(tmp_path)})
