"""Runs programs, and maps their error messages to BackendError in this one place."""

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

from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.linux.link import OTHER_IP

TIMEOUT_S = 60.0  # ten thousand peers take about a second; a stopped userspace process never answers

_PIPE_BYTES = 1 << 20  # the default limit for users: /proc/sys/fs/pipe-max-size
_PEERS_PER_WRITE = 200  # about 30 KB

_PACKAGES = {"wg": "wireguard-tools", "ip": "iproute2"}


class UnsupportedError(BackendError):
    """The kernel has no WireGuard, or the link is not a WireGuard device."""


class _KnownError(NamedTuple):
    phrases: tuple[str, ...]  # in lower case: C and Go programs differ in capitals
    error: type[BackendError]
    meaning: str
    hint: str = ""


OTHER_WG = 'Install wireguard-tools 1.0 or later, or use "backend": "netlink", which runs no program.'

_NO_IPV6 = _KnownError(
    ("ipv6 is disabled",),
    BackendError,
    "IPv6 is disabled on this host or on this device",
    "Enable it: sysctl net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0; in a container, the "
    "runtime must (docker run --sysctl net.ipv6.conf.all.disable_ipv6=0). A kernel that was booted with ipv6.disable=1 "
    "must be booted without.",
)
_KNOWN_ERRORS = (
    _KnownError(
        ("busybox v", "no help available", 'option "-j', 'option "-batch" is unknown', 'option "-details" is unknown'),
        BackendError,
        "the program `ip` of this host has no JSON output: it is BusyBox's, or too old",
        OTHER_IP,
    ),
    _KnownError(
        ("invalid subcommand", "line unrecognized: `", "invalid argument: `"),
        BackendError,
        "the program `wg` of this host lacks what is needed: it is too old, or another program",
        OTHER_WG,
    ),
    _NO_IPV6,
    _KnownError(
        ("unknown device type", "operation not supported", "protocol not supported"),
        UnsupportedError,
        "the kernel has no WireGuard, or this is not a WireGuard device",
        "Load the kernel module: modprobe wireguard. Or choose another name for the device (wg_dev_name).",
    ),
    _KnownError(
        ("/dev/net/tun does not exist", "failed to create tun device: no such"),  # ENODEV: the module is not there
        BackendError,
        "there is no /dev/net/tun",
        "Load the kernel module `tun`, or make it available in the container (docker run --device /dev/net/tun).",
    ),
    _KnownError(
        ("failed to create tun device: operation not", "failed to create tun device: permission", "/dev/net/tun: "),
        BackendError,
        "no permission to use /dev/net/tun",
        "Run as root, or with the capability CAP_NET_ADMIN and access to /dev/net/tun (docker run --cap-add NET_ADMIN "
        "--device /dev/net/tun).",
    ),
    _KnownError(
        ("no such device", "cannot find device", "does not exist."),
        NoSuchDeviceError,
        "there is no such device",
    ),
    _KnownError(
        ("operation not permitted",),
        BackendError,
        "no permission",
        "Run as root, or with the capability CAP_NET_ADMIN (docker run --cap-add NET_ADMIN).",
    ),
    _KnownError(
        ("permission denied",),  # EACCES: file permissions, or IPv6 is disabled
        BackendError,
        "no permission",
        "Run as root, or with the capability CAP_NET_ADMIN and access to /dev/net/tun and /var/run/wireguard. "
        "If an IPv6 address was refused, check the sysctl net.ipv6.conf.all.disable_ipv6.",
    ),
    _KnownError(
        ("address already in use",),
        BackendError,
        "the UDP port is in use",
        "Choose another wg_port, or find the process that uses this one: ss -ulpn",
    ),
    _KnownError(
        ("unix socket in use",),
        BackendError,
        "a userspace WireGuard process already serves a device of this name",
        "It may be in another network namespace: namespaces share /var/run/wireguard. "
        "Choose another name for the device (wg_dev_name).",
    ),
)


def explain(program: str, ifname: str, output: str, *, gives_addresses: bool = False) -> BackendError:
    """Return the error for the output of a program that failed, with a meaning and a hint where they are known.

    `gives_addresses`: it was to give an existing device its addresses.
    """
    text = output.strip()
    if gives_addresses and "operation not supported" in text.lower():  # the kernel has no IPv6 at all
        return _NO_IPV6.error(f"{ifname}: {_NO_IPV6.meaning} ({program}: {_last_line(text)})", hint=_NO_IPV6.hint)
    for known in _KNOWN_ERRORS:
        if any(phrase in text.lower() for phrase in known.phrases):
            return known.error(f"{ifname}: {known.meaning} ({program}: {_last_line(text)})", hint=known.hint)
    return BackendError(f"{ifname}: {program} failed: {_last_line(text) or 'no error message'}")


def _last_line(text: str) -> str:
    """Return the line with the error: `ip -batch` appends a line number, wireguard-go prints a banner first."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("Command failed")]
    return lines[-1].strip() if lines else ""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a program's environment: messages in English, and none of the agent's settings and secrets."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", **(extra or {})}


async def run_program(argv: tuple[str, ...], stdin: Iterable[str] = (), *, ifname: str) -> str:
    """Run a program for a device and return its output. Raises BackendError if it fails, is missing, or takes a minute.

    The error names the device and what is wrong, with a hint where it is known. Secrets are passed in `stdin` only, in
    pieces, each built just before it is written. The program gets none of the agent's environment but PATH.

    If the call is cancelled, the program is killed; what it has written by then stays.
    """
    process = await start(argv, stdin=PIPE if stdin else DEVNULL, stdout=PIPE, stderr=PIPE, limit=sys.maxsize)
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if process.stdin:
                await _write_stdin(process.stdin, stdin)
            out, err = await process.communicate()
    except TimeoutError:
        raise BackendError(f"{ifname}: {argv[0]} did not end within {TIMEOUT_S:.0f} s") from None
    finally:
        await stop(process)
    if process.returncode:
        gives_addresses = argv[:2] == ("ip", "-batch")
        raise explain(argv[0], ifname, err.decode(errors="replace"), gives_addresses=gives_addresses)
    return out.decode(errors="replace")


async def _write_stdin(stdin: asyncio.StreamWriter, pieces: Iterable[str]) -> None:
    """Write the program's standard input while the program reads it, then close it."""
    with suppress(OSError, ValueError):  # the user's limit for pipes is reached, or the program has ended
        fcntl(stdin.get_extra_info("pipe"), F_SETPIPE_SZ, _PIPE_BYTES)
    pieces = iter(pieces)
    with suppress(BrokenPipeError, ConnectionResetError):  # the program has ended: its output says why
        while written := "".join(islice(pieces, _PEERS_PER_WRITE)):
            stdin.write(written.encode())
            await stdin.drain()
    stdin.close()


@asynccontextmanager
async def running_program(argv: tuple[str, ...]) -> AsyncIterator[asyncio.StreamReader]:
    """Run a program until the context ends, and yield its standard output."""
    process = await start(argv, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL)
    try:
        if process.stdout:
            yield process.stdout
    finally:
        await stop(process)


async def run_daemon(program: str, ifname: str, settings: Mapping[str, str]) -> None:
    """Run a program that leaves a background process which outlives the agent, in its own session."""
    with tempfile.TemporaryFile() as output:  # not a pipe: the background process may keep it open
        out = output.fileno()  # wireguard-go prints errors to standard output, and a banner to standard error
        process = await start((program, ifname), stdin=DEVNULL, stdout=out, stderr=out, settings=settings)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status = await process.wait()
        except TimeoutError:
            raise BackendError(f"{ifname}: {program} did not go to the background within {TIMEOUT_S:.0f} s") from None
        finally:
            await stop(process)
        output.seek(0)
        if status:
            raise explain(program, ifname, output.read().decode(errors="replace"))


async def start(
    argv: tuple[str, ...],
    *,
    stdin: int,
    stdout: int,
    stderr: int,
    settings: Mapping[str, str] | None = None,
    limit: int = 1 << 16,
) -> Process:
    """Start a program in its own session, so that Ctrl-C reaches the agent only. BackendError if it can't be started.

    `limit` is the size of asyncio's read buffer in bytes. A caller that reads the output only at the end must pass a
    very large one: the program blocks while the buffer is full, and asyncio waits for it even after a kill.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin, stdout=stdout, stderr=stderr,
            env=environment(settings), cwd="/", start_new_session=True, limit=limit,
        )  # fmt: skip
    except FileNotFoundError:
        package = _PACKAGES.get(argv[0], argv[0])
        raise BackendError(
            f"the program {argv[0]!r} is not installed", hint=f"Install the package {package}."
        ) from None
    except OSError as error:
        raise BackendError(f"can't run {argv[0]}: {error}") from None


async def stop(process: Process) -> None:
    """Kill a program that still runs, and wait for it, so that it leaves no zombie."""
    if process.returncode is None:
        process.kill()
        await process.wait()
