"""Ikto's contract kit on a real wireguard-go."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from ikto_backend_uapi import ikto_register_backends
from ikto_core.plugins import Backend, BackendPlugin
from ikto_core.testing import LinuxContract


class TestUapi(LinuxContract):
    programs = ("wg", "wireguard-go")
    unsupported = {"C14": "wireguard-go 0.0.20220316 does not show the scope"}  # noqa: RUF012 - never changed

    @pytest.fixture
    def plugin(self) -> BackendPlugin:
        [plugin] = ikto_register_backends()
        return plugin

    async def test_create_waits_until_the_process_of_a_deleted_device_has_ended(
        self, backend: Backend, ifname: str
    ) -> None:
        await backend.create(ifname)
        pid = process_of(ifname)
        os.kill(pid, signal.SIGSTOP)
        try:
            await run("ip", "link", "delete", ifname)
            async with asyncio.TaskGroup() as group:
                creating = group.create_task(backend.create(ifname))
                await asyncio.wait({creating}, timeout=0.5)
                assert not creating.done()
                os.kill(pid, signal.SIGCONT)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        assert await backend.read(ifname)


def process_of(ifname: str) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has just ended
            if path.read_text().endswith(f"wireguard-go\0{ifname}\0"):
                return int(path.parent.name)
    raise LookupError(f"no process serves {ifname}")


async def run(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(*argv)
    assert await process.wait() == 0
