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
INHERITED_VARIABLES = ("HOME", "PATH", "TZ")
_STDERR_TAIL_BYTES = 4096  # of the program's standard error, searched for its last line


@asynccontextmanager
async def open_exec(context: ObserverContext) -> AsyncIterator[Observer]:
    """Yield the observer for the command line in the argument, which is split as a shell does it."""
    try:
        command = shlex.split(context.argument)
    except ValueError as error:
        raise IktoError(f"the observer exec can't parse {context.argument!r}: {error}") from None
    if not command or not Path(command[0]).is_absolute():
        hint = "exec=/usr/local/bin/hook, optionally with arguments"
        raise IktoError(f"the observer exec needs the absolute path of a program, not {context.argument!r}", hint=hint)
    yield Program(command)


class Program:
    """Runs a command for each event, one at a time, with the event as JSON on standard input.

    When a run ends, the rest of its process group is killed.
    """

    def __init__(self, command: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> None:
        self._command = command
        self._timeout_s = timeout_s

    async def see(self, events: Sequence[MeshEvent]) -> None:
        """Run the program for each event. Raises IktoError at the first run that fails, and skips the rest."""
        for event in events:
            with TemporaryFile() as event_file, TemporaryFile() as stderr:  # with pipes, a run could block on its peer
                event_file.write(msgspec.json.encode(event) + b"\n")
                event_file.seek(0)
                status = await self._run(event_file, stderr)
                if status:
                    raise IktoError(f"{self._command[0]} {_status_text(status)}: {_last_line(stderr)}")

    async def _run(self, event_file: IO[bytes], stderr: IO[bytes]) -> int:
        """Run the program; return its status as `subprocess` does. Raises IktoError if it can't start, or hangs."""
        process = self._start(event_file, stderr)
        try:
            async with asyncio.timeout(self._timeout_s):
                await _wait(process)
        except TimeoutError:
            raise IktoError(f"{self._command[0]} did not exit within {self._timeout_s:g} s") from None
        finally:
            await _kill_group(process)
        return process.wait()

    def _start(self, event_file: IO[bytes], stderr: IO[bytes]) -> Popen[bytes]:
        """Start the program without asyncio, which leaks the program's children if it is cancelled while starting."""
        try:
            return Popen(  # noqa: S603 - the operator configured it
                self._command,
                stdin=event_file, stdout=DEVNULL, stderr=stderr,
                env=environment(os.environ), cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            hint = "check that the file exists and is executable"
            raise IktoError(f"{self._command[0]} can't be run: {error.strerror}", hint=hint) from None


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return a program's environment: a few harmless variables, none of the agent's settings and secrets."""
    return {"LC_ALL": "C.UTF-8"} | {name: inherited[name] for name in INHERITED_VARIABLES if name in inherited}


async def _wait(process: Popen[bytes]) -> None:
    """Wait until a program has exited. It is not reaped: its ID must stay reserved until its group is killed."""
    loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(process.pid)
    exited = asyncio.Event()
    loop.add_reader(descriptor, exited.set)
    try:
        await exited.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def _kill_group(process: Popen[bytes]) -> None:
    """Kill a program's process group and reap the program."""
    with suppress(ProcessLookupError, PermissionError):  # no process is left, or the rest runs as another user
        os.killpg(process.pid, signal.SIGKILL)
    await _wait(process)
    process.wait()


def _status_text(status: int) -> str:
    if status > 0:
        return f"exited with status {status}"
    return f"was killed by signal {-status} ({signal.strsignal(-status)})"


def _last_line(stderr: IO[bytes]) -> str:
    """Return the last line of a program's standard error, at most 200 characters of it."""
    stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - _STDERR_TAIL_BYTES))
    lines = stderr.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "no message on standard error")
    return last[:200]
