"""Backends that show a secret in less usual places."""

import asyncio
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

from ikto_backends.fake import FakeBackend
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError
from tests.testing.broken_backends.traces import _secrets


class ShowsKeysInTheCause(FakeBackend):
    """The error that the backend wraps has the command line."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            command = ["wg", "set", ifname, *_secrets(patch)]
            raise type(error)(str(error), hint=error.hint) from subprocess.CalledProcessError(1, command)


class ShowsKeysInANote(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            error.add_note(f"while writing {_secrets(patch)}")
            raise


class ShowsKeysAsBytes(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            raise type(error)(f"{error}: {bytes(patch.private_key or b'')!r}", hint=error.hint) from None


class SetsItsOwnEnvironment(FakeBackend):
    """The program inherits the agent's environment."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        os.environ["WG_KEYS"] = " ".join(_secrets(patch))
        try:
            await asyncio.to_thread(subprocess.run, ["true"], check=True)
        finally:
            del os.environ["WG_KEYS"]


class ProtectsTheFileTooLate(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        path = Path(f"/tmp/ikto-kit-late-{os.getpid()}")  # the intended mistake
        path.write_text(" ".join(_secrets(patch)))
        path.chmod(0o600)
        path.unlink()


class LogsToItsOwnHandler(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        log = logging.getLogger("ikto-kit-own")
        log.propagate = False
        log.setLevel(logging.DEBUG)
        log.addHandler(logging.NullHandler())
        log.debug("writing %s", _secrets(patch))
        await super().apply(ifname, patch)


class WarnsOfKeys(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        warnings.warn(f"writing {_secrets(patch)}", stacklevel=1)
        await super().apply(ifname, patch)


class WritesKeysToDescriptorTwo(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        os.write(2, " ".join(_secrets(patch)).encode())
        await super().apply(ifname, patch)


class PassesKeysToAShell(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        text = " ".join(_secrets(patch))
        process = await asyncio.create_subprocess_shell(f"true '{text}'", stdout=sys.__stderr__)
        await process.wait()
