"""`ikto agent` on a fake device that hangs: `python -m tests.hanging HOW agent …`, with short limits.

While a file `hang` is in the agent's directory, each write hangs for ever: with HOW `thread` in a thread, as in the
kernel, and with HOW `deaf` in a coroutine that ignores cancellations. With HOW `refuse` it fails at once.
"""

import asyncio
import sys
from pathlib import Path
from threading import Event

from ikto_backends.fake import FakeBackend
from ikto_core.agent import systemd
from ikto_core.cli import agent_run
from ikto_core.cli.main import main
from ikto_core.device import bounded_backend
from ikto_core.device.model import DevicePatch
from ikto_core.errors import BackendError

write = FakeBackend.apply


async def hang_in_a_thread() -> None:
    """Block a thread that the interpreter waits for at its end."""
    await asyncio.to_thread(Event().wait)


async def ignore_cancellations() -> None:
    """Wait for ever, also if cancelled."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def refuse() -> None:
    """Fail as without rights."""
    raise BackendError("no permission", hint="run as root")


def make_writes_hang(how: str, switch: Path) -> None:
    """Have writes hang while the file `switch` exists."""
    hang = {"thread": hang_in_a_thread, "deaf": ignore_cancellations, "refuse": refuse}[how]

    async def apply(self: FakeBackend, ifname: str, patch: DevicePatch) -> None:
        if switch.exists():  # noqa: ASYNC240 - a test
            await hang()
        await write(self, ifname, patch)

    FakeBackend.apply = apply  # type: ignore[method-assign]


def shorten_limits() -> None:
    """Shorten the limits of calls, of the end and of the start."""
    bounded_backend.DEFAULT_LIMITS = bounded_backend.CallLimits(call_s=0.3, per_peer_s=0.0, close_s=0.2)
    agent_run.STOP_LIMIT_S = 2.0
    systemd.START_LIMIT_S, systemd.LOOK_EVERY_S = 1.0, 0.05


if __name__ == "__main__":
    socket = Path(sys.argv[sys.argv.index("-s") + 1])
    make_writes_hang(sys.argv.pop(1), socket.with_name("hang"))
    shorten_limits()
    main()
