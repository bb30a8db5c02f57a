"""A network of hosts on one machine: network namespaces joined by a bridge. Root only.

Only the namespaces created here are changed: both ends of every veth pair are inside them.
"""

import ctypes
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from typing import TypeVar

from ikto_core.errors import IktoError
from ikto_core.lab.delay_switch import disable_offloads

T = TypeVar("T")

NAMESPACES = Path("/run/netns")
END_TIMEOUT_S = 5.0

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_CTRL_C = (-SIGINT, -SIGHUP)
_numbers = count(1)


def run(*command: str) -> str:
    """Run a program and return its standard output. Raises IktoError with the last line of its output if it fails."""
    done = _run(command)
    while done.returncode in _CTRL_C:  # Ctrl-C came before the program was in its own session
        done = _run(command)
    if done.returncode:
        last_line = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise IktoError(f"{shlex.join(command)}: {last_line or f'exit code {done.returncode}'}")
    return done.stdout


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a program in its own session: Ctrl-C on the terminal must not end the commands that clean up."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)  # noqa: S603
    except OSError as error:
        raise IktoError(f"{command[0]} can't be run: {error}") from None


class Host:
    """A network namespace connected to the bridge; with an empty name, this machine itself."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    @property
    def exec_prefix(self) -> tuple[str, ...]:
        """The command prefix that runs a command on this host."""
        return ("ip", "netns", "exec", self.namespace) if self.namespace else ()

    def run(self, *command: str) -> str:
        """Run a program on this host, like the function `run`."""
        return run(*self.exec_prefix, *command)

    def call(self, function: Callable[[], T]) -> T:
        """Call a function on this host and return its result: the sockets that it opens are the host's."""
        if not self.namespace:
            return function()
        with ThreadPoolExecutor(max_workers=1, initializer=self._enter) as thread:  # a namespace is entered per thread
            return thread.submit(function).result()

    def _enter(self) -> None:
        with (NAMESPACES / self.namespace).open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"can't enter the namespace {self.namespace}")

    def lost_pings(self, address: str, *, count: int = 5) -> int:
        """Ping an address `count` times and return how many answers are missing."""
        command = [*self.exec_prefix, "ping", "-c", str(count), "-i", "0.2", "-W", "5", address]
        output = subprocess.run(command, check=False, capture_output=True, text=True).stdout  # noqa: S603 - a fixed list
        return count - output.count("bytes from")

    def reaches(self, address: str) -> bool:
        """Whether every ping to an address is answered."""
        return self.lost_pings(address) == 0


THIS_MACHINE = Host("", "127.0.0.1")


@contextmanager
def network(hosts: int, prefix: str = "", *, delay_s: float = 0.0) -> Iterator[tuple[Host, Sequence[Host]]]:
    """Create a hub and `hosts` hosts connected to it, at most 253.

    When the block ends, all of it is removed, and every process that still runs there is ended.

    Args:
        hosts: The number of hosts besides the hub.
        prefix: Prefix of the namespaces' names, which end in `-hub`, `-1`, `-2`, …  Empty: a unique one.
        delay_s: How long every packet between two of them takes, one way. 0: they are joined by the kernel's bridge;
            else by a program that delays frames, at some thousand packets a second.

    """
    prefix = prefix or f"ikto{os.getpid()}-{next(_numbers)}"
    with ExitStack() as stack:
        hub = _host(stack, f"{prefix}-hub", "10.66.0.254")
        join = _offloads_off if delay_s else _join_bridge
        if delay_s:
            _connect(hub, hub, "hub0", "port0")
            hub.call(partial(disable_offloads, "hub0"))
        else:
            hub.run("ip", "link", "add", "br0", "type", "bridge")
            hub.run("ip", "addr", "add", f"{hub.address}/24", "dev", "br0")
            hub.run("ip", "link", "set", "br0", "up")
        connected = [_connected_host(stack, hub, f"{prefix}-{n}", n, join) for n in range(1, hosts + 1)]
        if delay_s:
            stack.enter_context(_delay_switch(hub, delay_s, [f"port{n}" for n in range(hosts + 1)]))
        yield hub, connected


def namespaces() -> list[str]:
    """Return the names of all network namespaces of this machine."""
    return [path.name for path in NAMESPACES.iterdir()] if NAMESPACES.exists() else []


def remove_namespace(namespace: str) -> None:
    """End all processes in a namespace, such as userspace WireGuard, and delete it."""
    deadline, signalled = time.monotonic() + END_TIMEOUT_S, set[int]()
    while pids := {int(pid) for pid in run("ip", "netns", "pids", namespace).split()}:
        late = time.monotonic() > deadline
        for pid in pids if late else pids - signalled:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL if late else SIGTERM)
        signalled |= pids
        time.sleep(0.01)
    run("ip", "netns", "del", namespace)


def _host(stack: ExitStack, namespace: str, address: str) -> Host:
    run("ip", "netns", "add", namespace)
    stack.callback(remove_namespace, namespace)
    host = Host(namespace, address)
    host.run("ip", "link", "set", "lo", "up")
    return host


def _connected_host(
    stack: ExitStack, hub: Host, namespace: str, number: int, join: Callable[[Host, Host, str], None]
) -> Host:
    host = _host(stack, namespace, f"10.66.0.{number}")
    _connect(hub, host, "eth0", f"port{number}")
    join(hub, host, f"port{number}")
    return host


def _connect(hub: Host, host: Host, ifname: str, port: str) -> None:
    """Give a host an interface with its address, and the hub the other end, `port`."""
    hub.run("ip", "link", "add", port, "type", "veth", "peer", "name", ifname, "netns", host.namespace)
    hub.run("ip", "link", "set", port, "up")
    host.run("ip", "addr", "add", f"{host.address}/24", "dev", ifname)
    host.run("ip", "link", "set", ifname, "up")


def _join_bridge(hub: Host, _: Host, port: str) -> None:
    hub.run("ip", "link", "set", port, "master", "br0")


def _offloads_off(_: Host, host: Host, __: str) -> None:
    """Leave the port to the delay switch, which needs whole frames."""
    host.call(partial(disable_offloads, "eth0"))


@contextmanager
def _delay_switch(hub: Host, delay_s: float, ports: Sequence[str]) -> Iterator[None]:
    """Forward frames between ports of the hub, delayed, for as long as the block lasts."""
    command = [*hub.exec_prefix, sys.executable, "-m", "ikto_core.lab.delay_switch", str(delay_s), *ports]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - a fixed list
        try:
            if not process.stdout or not process.stdout.readline():
                raise IktoError("the delay switch did not start")
            yield
        finally:
            process.kill()
