"""Programs run to their end, and what they say when they fail; the one place where that becomes a BackendError."""

import asyncio
import os
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from fcntl import F_SETPIPE_SZ, fcntl
from itertools import islice
from typing import NamedTuple

from ikto_core.plugins import BackendError, NoSuchDeviceError

TIMEOUT_S = 60.0  # ten thousand peers take about a second; a stopped userspace process never answers

_PIPE_BYTES = 1 << 20  # the most that a user may ask for by default
_PIECES = 200  # peers written at once: about 30 KB

_PACKAGES = {"wg": "wireguard-tools", "ip": "iproute2"}


class Command(NamedTuple):
    """A program, its arguments, and what it reads on standard input. Secrets are only ever in the latter."""

    argv: tuple[str, ...]
    stdin: Iterable[str] = ()  # in pieces, each made when it is about to be read


class UnsupportedError(BackendError):
    """The kernel does not know WireGuard, or the device is of another kind."""


class _Meaning(NamedTuple):
    said: tuple[str, ...]  # in lower case; Go's programs write what C's programs write in capitals
    error: type[BackendError]
    meaning: str
    hint: str = ""


_MEANINGS = (
    _Meaning(
        ("unknown device type", "operation not supported", "protocol not supported"),
        UnsupportedError,
        "the kernel has no WireGuard, or this is no WireGuard device",
        "Load the kernel's module: modprobe wireguard. Or choose another name for the device.",
    ),
    _Meaning(
        ("/dev/net/tun does not exist",),
        BackendError,
        "there is no tun device",
        "Load the kernel's module `tun`, or give the container /dev/net/tun.",
    ),
    _Meaning(("no such device", "cannot find device", "does not exist."), NoSuchDeviceError, "there is no such device"),
    _Meaning(
        ("operation not permitted",),
        BackendError,
        "no permission",
        "Run as root, or with the capability CAP_NET_ADMIN.",
    ),
    _Meaning(
        ("permission denied",),  # EACCES: of files, and of IPv6 where it is switched off
        BackendError,
        "no permission",
        "Run as root, or with the capability CAP_NET_ADMIN and access to /dev/net/tun and /var/run/wireguard. "
        "If it is about an IPv6 address: is net.ipv6.conf.all.disable_ipv6 set to 1?",
    ),
    _Meaning(
        ("address already in use",),
        BackendError,
        "the UDP port is in use",
        "Choose another wg_port, or find who has this one: ss -ulpn",
    ),
    _Meaning(
        ("unix socket in use",),
        BackendError,
        "a userspace WireGuard serves a device of this name already",
        "Perhaps in another network namespace: they share /var/run/wireguard. Choose another name for the device.",
    ),
)


def explain(program: str, ifname: str, said: str) -> BackendError:
    """Return the error that tells what a program's complaint means, in words and with a hint where it is known."""
    text = said.strip()
    for known in _MEANINGS:
        if any(phrase in text.lower() for phrase in known.said):
            return known.error(f"{ifname}: {known.meaning} ({program}: {_last_line(text)})", hint=known.hint)
    return BackendError(f"{ifname}: {program} failed: {_last_line(text) or 'it did not say why'}")


def _last_line(text: str) -> str:
    """Return the line that says what is wrong: `ip -batch` adds one that only counts, wireguard-go prints a banner."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Command failed")]
    return lines[-1].strip() if lines else ""


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return what a program gets to know: messages in English, and none of the agent's own settings and secrets."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **(more or {})}


async def run(command: Command, ifname: str) -> str:
    """Run a program and return what it printed. Raises BackendError if it fails, is missing, or takes a minute.

    Cancelled, it is stopped, and what it did by then stays done.
    """
    stdin = PIPE if command.stdin else DEVNULL
    process = await start(command.argv, stdin=stdin, stdout=PIPE, stderr=PIPE, limit=sys.maxsize)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if process.stdin:
                await _feed(process.stdin, command.stdin)
            out, err = await process.communicate()
    except TimeoutError:
        raise BackendError(f"{ifname}: {command.argv[0]} has not ended after {TIMEOUT_S:.0f} s") from None
    finally:
        await stop(process)
    if process.returncode:
        raise explain(command.argv[0], ifname, err.decode(errors="replace"))
    return out.decode(errors="replace")


async def _feed(stdin: asyncio.StreamWriter, pieces: Iterable[str]) -> None:
    """Write what the program reads, while it is as busy with that."""
    with suppress(OSError, ValueError):  # the user has too many large pipes; the program has ended
        fcntl(stdin.get_extra_info("pipe"), F_SETPIPE_SZ, _PIPE_BYTES)
    pieces = iter(pieces)
    with suppress(BrokenPipeError, ConnectionResetError):  # it has ended, and says why
        while written := "".join(islice(pieces, _PIECES)):
            stdin.write(written.encode())
            await stdin.drain()
    stdin.close()


@asynccontextmanager
async def running_program(argv: tuple[str, ...]) -> AsyncIterator[asyncio.StreamReader]:
    """Run a program for as long as the context lasts; yield what it prints."""
    process = await start(argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    try:
        if process.stdout:
            yield process.stdout
    finally:
        await stop(process)


async def run_daemon(program: str, ifname: str, settings: Mapping[str, str]) -> None:
    """Run a program that leaves a process behind, which outlives us: a session of its own, and none of our files."""
    with tempfile.TemporaryFile() as said:  # not a pipe: the process left behind may keep it open
        out = said.fileno()  # wireguard-go prints its errors to standard output, and a banner to the other one
        process = await start((program, ifname), stdin=DEVNULL, stdout=out, stderr=out, settings=settings)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await process.wait()
        except TimeoutError:
            raise BackendError(f"{ifname}: {program} does not go to the background") from None
        finally:
            await stop(process)
        said.seek(0)
        if status:
            raise explain(program, ifname, said.read().decode(errors="replace"))


async def start(
    argv: tuple[str, ...],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    settings: Mapping[str, str] | None = None,
    limit: int = 1 << 16,
) -> Process:
    """Start a program in a session of its own, so that Ctrl-C is for the agent to handle; BackendError if missing.

    Who does not read what it says while it runs gives no `limit`: a reader that is full stops the program, and is
    waited for even when that is killed.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin, stdout=stdout, stderr=stderr,
            env=environment(settings), cwd="/", start_new_session=True, limit=limit,
        )  # fmt: skip
    except FileNotFoundError:
        package = _PACKAGES.get(argv[0], argv[0])
        raise BackendError(f"there is no program {argv[0]!r}", hint=f"Install the package {package}.") from None
    except OSError as error:
        raise BackendError(f"{argv[0]} can't be run: {error}") from None


async def stop(process: Process) -> None:
    """End a program that still runs; nothing is left behind, not even a zombie."""
    if process.returncode is None:
        process.kill()
        await process.wait()
