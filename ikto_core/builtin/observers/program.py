"""The observer `exec`: runs a program for each event."""

import asyncio
import os
import shlex
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, Popen
from tempfile import TemporaryFile
from typing import IO

import msgspec

from ikto_core.plugins import IktoError, MeshEvent, Observer, ObserverContext

TIMEOUT_S = 30.0
KEPT_OF_ENVIRONMENT = ("HOME", "PATH", "TZ")
_MOST_TOLD = 4096  # bytes of what it printed last, among which is the line that says why


@asynccontextmanager
async def open_exec(context: ObserverContext) -> AsyncIterator[Observer]:
    """Yield the observer for the program, and its arguments, that the argument names as a shell would read them."""
    try:
        command = shlex.split(context.argument)
    except ValueError as error:
        raise IktoError(f"the observer exec can't read {context.argument!r}: {error}") from None
    if not command or not Path(command[0]).is_absolute():
        hint = "exec=/usr/local/bin/hook, and arguments if there are any"
        raise IktoError(f"the observer exec needs the absolute path of a program, not {context.argument!r}", hint=hint)
    yield Program(command)


class Program:
    """Runs a command for each event, one after another, and has it read the event's JSON on standard input.

    Whatever it leaves running in its process group is ended with it.
    """

    def __init__(self, command: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> None:
        self._command = command
        self._timeout_s = timeout_s

    async def see(self, events: Sequence[MeshEvent]) -> None:
        """Run the program for each event. Raises IktoError if one of these runs fails; the rest is not run then."""
        for event in events:
            with TemporaryFile() as event_file, TemporaryFile() as said:  # no pipes: nobody waits for who never reads
                event_file.write(msgspec.json.encode(event) + b"\n")
                event_file.seek(0)
                status = await self._run(event_file, said)
                if status:
                    raise IktoError(f"{self._command[0]} {_ending(status)}: {_last_line(said)}")

    async def _run(self, event_file: IO[bytes], said: IO[bytes]) -> int:
        """Run it and return its status as `subprocess` has it. Raises IktoError if it can't be, or takes too long."""
        process = self._start(event_file, said)
        try:
            async with asyncio.timeout(self._timeout_s):
                await _ended(process)
        except TimeoutError:
            raise IktoError(f"{self._command[0]} has not ended after {self._timeout_s:g} s") from None
        finally:
            await _end(process)
        return process.wait()

    def _start(self, event_file: IO[bytes], said: IO[bytes]) -> Popen[bytes]:
        """Start it at once: asyncio, cancelled as it starts a program, leaves running what that started meanwhile."""
        try:
            return Popen(  # noqa: S603 - what the configuration names
                self._command,
                stdin=event_file, stdout=DEVNULL, stderr=said,
                env=environment(os.environ), cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise IktoError(f"{self._command[0]} can't be run: {error.strerror}", hint="is it executable?") from None


def environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Return what a program gets to know of our environment: none of the settings and secrets that may be in it."""
    return {"LC_ALL": "C.UTF-8"} | {name: ours[name] for name in KEPT_OF_ENVIRONMENT if name in ours}


async def _ended(process: Popen[bytes]) -> None:
    """Wait until a program has ended. It stays a zombie: until its group is ended, nobody else may get its number."""
    loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(process.pid)
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _end(process: Popen[bytes]) -> None:
    """End what is left of a program and of its process group; no zombie stays."""
    with suppress(ProcessLookupError, PermissionError):  # nothing is left; or it has become another user's
        os.killpg(process.pid, signal.SIGKILL)
    await _ended(process)
    process.wait()


def _ending(status: int) -> str:
    if status > 0:
        return f"ended with exit code {status}"
    return f"was ended by signal {-status} ({signal.strsignal(-status)})"


def _last_line(said: IO[bytes]) -> str:
    """Return the last line that it printed on standard error, as it may stand in a log."""
    said.seek(max(0, said.seek(0, os.SEEK_END) - _MOST_TOLD))
    lines = said.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it did not say why")
    return last[:200]
