"""Opens a backend in another process, as after a restart of the agent, and returns what it sees there."""

import asyncio
import pickle
import sys
from asyncio.subprocess import PIPE
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from inspect import isasyncgenfunction
from pathlib import Path
from typing import Any

import pytest

from ikto_core.device.backend import Backend, BackendContext, BackendPlugin
from ikto_core.device.model import DevicePatch, DeviceState
from ikto_core.testing.devices import without_counters

Open = Callable[[BackendContext], AbstractAsyncContextManager[Backend]]
Seen = tuple[DeviceState | None, DeviceState | None]

_PROGRAM = """
import asyncio, pickle, sys
path, sent = pickle.load(sys.stdin.buffer)
sys.path[:] = path
from ikto_core.testing.backend_process import seen_by
seen = asyncio.run(seen_by(*pickle.loads(sent)))
sys.stdout.flush()
sys.stdout.buffer.write(b"\\n" + pickle.dumps(seen).hex().encode() + b"\\n")
sys.stdout.flush()
"""


async def seen_by(open_: Open, context: BackendContext, patch: DevicePatch) -> Seen:
    """Return the device as this process finds it, and as it is after a patch."""
    async with open_(context) as backend:
        before = await backend.read(context.ifname)
        if before:
            await backend.apply(context.ifname, patch)
        after = await backend.read(context.ifname)
    return before and without_counters(before), after and without_counters(after)


async def in_new_process(plugin: BackendPlugin, context: BackendContext, patch: DevicePatch, limit_s: float) -> Seen:
    """Return `seen_by` from a new process; skip the test with a message if the plugin can't be pickled."""
    sent = _pickled(plugin, context, patch)
    path = [str(Path(entry or ".").resolve()) for entry in sys.path]  # noqa: ASYNC240 - a few paths, in a test
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _PROGRAM, stdin=PIPE, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(2 * limit_s):
            out, err = await process.communicate(pickle.dumps((path, sent)))
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise AssertionError(f"in another process, the backend did not end within {2 * limit_s:g} s") from None
    if process.returncode:
        raise AssertionError(f"in another process: {err.decode(errors='replace').strip().splitlines()[-1][:500]}")
    seen: Seen = pickle.loads(bytes.fromhex(out.split()[-1].decode()))  # noqa: S301 - written by the program above
    return seen


def _pickled(plugin: BackendPlugin, context: BackendContext, patch: DevicePatch) -> bytes:
    """Return the author's own `open` and its arguments. The kit and the loader wrap it, which can't be pickled."""
    open_: Any = plugin.open
    while isinstance(open_, partial) and open_.args and isinstance(open_.args[0], BackendPlugin):
        open_ = open_.args[0].open
    while True:
        try:
            return pickle.dumps((open_, context, patch))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            inner = getattr(open_, "__wrapped__", None)
            if inner is None or isasyncgenfunction(inner):
                pytest.skip(f"C19: `open` can't be pickled, so it can't run in another process: {error}")
            open_ = inner
