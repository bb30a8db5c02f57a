"""Backends that leave something behind, or show a secret."""

import asyncio
import logging
import os
import subprocess
import threading
from pathlib import Path
from typing import Any, ClassVar

from ikto_backends.fake import FakeBackend
from ikto_core.device.model import DevicePatch, DeviceState, PeerState
from ikto_core.errors import BackendError


class LeaksFileDescriptors(FakeBackend):
    async def read(self, ifname: str) -> DeviceState | None:
        os.open("/dev/null", os.O_RDONLY)
        return await super().read(ifname)


class LeaksFileDescriptorsOfFailedCalls(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        opened = os.open("/dev/null", os.O_RDONLY)
        await super().apply(ifname, patch)
        os.close(opened)


class LeaksThreads(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        await super().apply(ifname, patch)


class LeaksTasks(FakeBackend):
    tasks: ClassVar[list["asyncio.Task[Any]"]] = []

    async def read(self, ifname: str) -> DeviceState | None:
        self.tasks.append(asyncio.ensure_future(asyncio.Event().wait()))
        return await super().read(ifname)


class LeaksProcesses(FakeBackend):
    processes: ClassVar[list[Any]] = []

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        self.processes.append(await asyncio.create_subprocess_exec("sleep", "30"))
        await super().apply(ifname, patch)


class LeaksListeners(FakeBackend):
    """Opens a descriptor for each `events`, and closes none."""

    def events(self) -> Any:
        os.open("/dev/null", os.O_RDONLY)
        return super().events()


class WritesAfterClosing(FakeBackend):
    """A thread goes on with a write that was cancelled, and closing does not wait for it."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        if len(patch.peers) < 100:
            await super().apply(ifname, patch)
            return
        wrote = threading.Event()

        def write() -> None:
            wrote.wait(0.1)
            self.host.apply(ifname, patch)

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)


class RunsAfterClosing(FakeBackend):
    """A task of its own goes on for ever."""

    tasks: ClassVar[list["asyncio.Task[Any]"]] = []

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        if len(patch.peers) > 100:
            self.tasks.append(asyncio.ensure_future(asyncio.Event().wait()))
        await super().apply(ifname, patch)


def _secrets(patch: DevicePatch) -> list[str]:
    found = [peer.preshared_key.text for peer in patch.peers if peer.preshared_key]
    return [patch.private_key.text, *found] if patch.private_key else found


class ShowsKeysInErrors(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            raise type(error)(f"{error}: {_secrets(patch)}", hint=error.hint) from error


class ShowsKeysInHints(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        try:
            await super().apply(ifname, patch)
        except BackendError as error:
            error.hint = error.hint or " ".join(_secrets(patch))
            raise


class PassesKeysAsArguments(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        process = await asyncio.create_subprocess_exec("true", *_secrets(patch))
        await process.wait()


class PassesKeysInTheEnvironment(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        environ = os.environ | {"KEYS": " ".join(_secrets(patch))}
        await asyncio.to_thread(subprocess.run, ["true"], env=environ, check=True)


class WritesKeysToReadableFiles(FakeBackend):
    """A temporary file with the usual mode, deleted at once."""

    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        await super().apply(ifname, patch)
        path = Path(f"/tmp/ikto-kit-{os.getpid()}")  # the intended mistake
        path.write_text(" ".join(_secrets(patch)))
        path.unlink()


class LogsKeys(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        logging.getLogger("mine").debug("writing %s", _secrets(patch))
        await super().apply(ifname, patch)


class PrintsKeys(FakeBackend):
    async def apply(self, ifname: str, patch: DevicePatch) -> None:
        print(*_secrets(patch))
        await super().apply(ifname, patch)


class ReadsPeersThatAreGone(FakeBackend):
    """Remembers peers for ever."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.seen: dict[Any, PeerState] = {}

    async def read(self, ifname: str) -> DeviceState | None:
        state = await super().read(ifname)
        if state:
            self.seen.update(state.peers)
            return DeviceState(
                **{name: getattr(state, name) for name in state.__struct_fields__} | {"peers": self.seen}
            )
        return None
