"""How programs are run, writes their standard input, and maps their error messages."""

import asyncio
import shutil
from asyncio.subprocess import Process
from collections.abc import Iterable, Iterator
from itertools import repeat
from operator import length_hint
from pathlib import Path

import pytest

from ikto_core.errors import BackendError, NoSuchDeviceError
from ikto_core.linux.programs import UnsupportedError, explain, run_program, stop

WG = "wg0"
Command = tuple[tuple[str, ...], tuple[str, ...]]  # arguments and standard input


@pytest.mark.parametrize(
    ("output", "error", "words"),
    [
        ("Unable to access interface: No such device", NoSuchDeviceError, "no such device"),
        ('Cannot find device "wg0"\nCommand failed -:1', NoSuchDeviceError, 'Cannot find device "wg0"'),
        ('Device "wg0" does not exist.', NoSuchDeviceError, "no such device"),
        ("RTNETLINK answers: Operation not permitted", BackendError, "no permission"),
        ("ERROR: (wg1) Failed to create TUN device: permission denied", BackendError, "no permission to use /dev/net"),
        ("Failed to create TUN device: operation not permitted", BackendError, "no permission to use /dev/net/tun"),
        ("Failed to create TUN device: no such device", BackendError, "there is no /dev/net/tun"),
        ("open /dev/net/tun: operation not permitted", BackendError, "no permission to use /dev/net/tun"),
        ("RTNETLINK answers: Permission denied", BackendError, "no permission"),
        ("Unable to modify interface: Address already in use", BackendError, "port is in use"),
        ("Error: Unknown device type.", UnsupportedError, "the kernel has no WireGuard"),
        ("Unable to access interface: Protocol not supported", UnsupportedError, "not a WireGuard device"),
        ('CreateTUN("wg0") failed; /dev/net/tun does not exist', BackendError, "there is no /dev/net/tun"),
        ("a banner\nFailed: unix socket in use", BackendError, "already serves a device of this name"),
        (
            "BusyBox v1.36.1 (2024) multi-call binary.\n\nUsage: ip [OPTIONS]",
            BackendError,
            "it is BusyBox's, or too old",
        ),
        ('Option "-json" is unknown, try "ip -help".', BackendError, "has no JSON output"),
        ('Option "-details" is unknown, try "ip -help".', BackendError, "has no JSON output"),
        ("Invalid subcommand: `addconf'\nUsage: wg <cmd> [<args>]", BackendError, "`wg` of this host lacks"),
        ("Line unrecognized: `PresharedKey=x'\nConfiguration parsing error", BackendError, "`wg` of this host lacks"),
        ("Invalid argument: `remove'", BackendError, "`wg` of this host lacks"),
        ("Unable to modify interface: Invalid argument", BackendError, "x failed: Unable to modify interface"),
        ("Error: IPv6 is disabled on this device.\nCommand failed -:2", BackendError, "IPv6 is disabled on this host"),
        ("Something new\nCommand failed -:3", BackendError, "x failed: Something new"),
        ("", BackendError, "x failed: no error message"),
    ],
)
def test_error_output_is_mapped_to_a_backend_error(output: str, error: type[BackendError], words: str) -> None:
    explained = explain("x", WG, output)
    assert type(explained) is error
    assert words in str(explained)
    assert str(explained).startswith(f"{WG}: ")


async def test_a_missing_program_is_an_error_that_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BackendError, match="the program 'wg' is not installed") as caught:
        await run_program(("wg", "show"), ifname=WG)
    assert "wireguard-tools" in caught.value.hint


async def test_a_program_gets_no_environment_variables_of_the_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IKTO_NATS_PASSWORD", "secret")
    out = await run_program(("env",), ifname=WG)
    assert {line.partition("=")[0] for line in out.splitlines()} == {"PATH", "LC_ALL"}


async def test_arguments_are_not_interpreted_by_a_shell() -> None:
    words = ("$(id)", "`id`", ";id", "$PATH", "*", "a b", "'\"")
    assert await run_program(("printf", "%s\n", *words), ifname=WG) == "".join(f"{word}\n" for word in words)


LINE = "one line of a hundred thousand\n"
LINES = 100_000  # more than fits in any pipe


async def test_a_program_reads_all_of_its_input() -> None:
    assert await run_program(("wc", "-c"), repeat(LINE, LINES), ifname=WG) == f"{LINES * len(LINE)}\n"
    assert await run_program(("cat",), ["a", "", "b"], ifname=WG) == "ab"
    assert await run_program(("cat",), repeat(LINE, LINES), ifname=WG) == LINE * LINES  # it writes while it reads
    assert await run_program(("cat",), ifname=WG) == ""


async def test_input_is_generated_while_the_program_reads() -> None:
    left = repeat(LINE, LINES)
    with pytest.raises(BackendError, match="had enough"):
        await run_program(("sh", "-c", "head -n 1; echo had enough >&2; exit 1"), left, ifname=WG)
    assert length_hint(left) > 0


@pytest.mark.parametrize("stdin", [(), repeat(LINE, LINES)])
async def test_a_program_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch, stdin: Iterable[str]) -> None:
    monkeypatch.setattr("ikto_core.linux.programs.TIMEOUT_S", 0.05)
    with pytest.raises(BackendError, match="did not end within"):
        await run_program(("sleep", "1000"), stdin, ifname=WG)


@pytest.mark.parametrize("why", [RuntimeError, TimeoutError])
async def test_an_incomplete_input_is_never_closed_before_the_program_is_killed(
    why: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the program could apply half of its input."""
    input_was_open = []

    async def checked_stop(process: Process) -> None:
        assert process.stdin
        input_was_open.append(not process.stdin.is_closing())
        await stop(process)

    def pieces() -> Iterator[str]:
        if why is TimeoutError:
            limit.reschedule(0)  # now that the program runs
        yield from repeat(LINE, LINES)
        raise RuntimeError("the next piece can't be generated")

    monkeypatch.setattr("ikto_core.linux.programs.stop", checked_stop)
    program = ("cat",) if why is RuntimeError else ("sleep", "1000")
    with pytest.raises(why):
        async with asyncio.timeout(60) as limit:
            await run_program(program, pieces(), ifname=WG)
    assert input_was_open == [True]


async def said(directory: Path, monkeypatch: pytest.MonkeyPatch, command: Command, *lines: str) -> BackendError:
    """Return the error of a program that prints these lines and fails."""
    (directory / command[0][0]).write_text(
        "#!/bin/sh\n" + "".join(f'echo "{line}" >&2\n' for line in lines) + "exit 2\n"
    )
    (directory / command[0][0]).chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/bin:/usr/bin")
    with pytest.raises(BackendError) as caught:
        await run_program(*command, ifname=WG)
    return caught.value


async def test_a_kernel_without_any_ipv6_is_named_where_addresses_are_set_and_only_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ipv6.disable=1 the kernel says no more than "not supported", as it does of WireGuard."""
    words = ("RTNETLINK answers: Operation not supported", "Command failed -:1")
    error = await said(tmp_path, monkeypatch, (("ip", "-batch", "-"), ("address add",)), *words)
    assert "IPv6 is disabled" in str(error)
    assert "ipv6.disable=1" in error.hint
    created = await said(tmp_path, monkeypatch, (("ip", "link", "add", "dev", WG), ()), *words)
    assert isinstance(created, UnsupportedError)


async def test_an_old_wg_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await said(tmp_path, monkeypatch, (("wg", "addconf", WG), ()), "Invalid subcommand: 'addconf'")
    assert "too old, or another program" in str(error)
    assert "wireguard-tools" in error.hint


@pytest.mark.skipif(shutil.which("busybox") is None, reason="BusyBox is not installed")
async def test_the_ip_of_busybox_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ip").symlink_to(shutil.which("busybox") or "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendError, match="BusyBox's, or too old") as caught:
        await run_program(("ip", "-j", "-d", "address", "show"), ifname=WG)
    assert "iproute2" in caught.value.hint
