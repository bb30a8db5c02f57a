"""Hosts in network namespaces, joined by a bridge: several machines on one, for root only.

Nothing outside of the namespaces made here is touched: both ends of every wire lie inside them.
"""

import ctypes
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from signal import SIGHUP, SIGINT, SIGKILL, SIGTERM
from typing import TypeVar

from ikto_core.errors import IktoError

T = TypeVar("T")

NAMESPACES = Path("/run/netns")
END_TIMEOUT_S = 5.0

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_CTRL_C = (-SIGINT, -SIGHUP)
_numbers = count(1)


def run(*command: str) -> str:
    """Run a program and return what it prints; IktoError, with what it says, if it fails."""
    done = _run(command)
    while done.returncode in _CTRL_C:  # which came before the program had begun, and a session of its own
        done = _run(command)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().rpartition("\n")[2]
        raise IktoError(f"{shlex.join(command)}: {said or f'exit code {done.returncode}'}")
    return done.stdout


def _run(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a program out of reach of Ctrl-C on the terminal: that is for its owner, who cleans up with more of these."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)  # noqa: S603
    except OSError as error:
        raise IktoError(f"{command[0]} can't be run: {error}") from None


class Host:
    """A network namespace with one wire to the bridge; without a name, this machine itself."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    @property
    def within(self) -> tuple[str, ...]:
        """What to put before a command that shall run on this host."""
        return ("ip", "netns", "exec", self.namespace) if self.namespace else ()

    def run(self, *command: str) -> str:
        """Run a program on this host; as the function of the same name."""
        return run(*self.within, *command)

    def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns that runs on this host: the sockets it opens are the host's."""
        if not self.namespace:
            return function()
        with ThreadPoolExecutor(max_workers=1, initializer=self._enter) as thread:  # a thread has a network of its own
            return thread.submit(function).result()

    def _enter(self) -> None:
        with (NAMESPACES / self.namespace).open() as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"can't enter the namespace {self.namespace}")

    def lost_pings(self, address: str, *, count: int = 5) -> int:
        """Ping an address and return how many answers never came."""
        command = [*self.within, "ping", "-c", str(count), "-i", "0.2", "-W", "5", address]
        said = subprocess.run(command, check=False, capture_output=True, text=True).stdout  # noqa: S603 - our own list
        return count - said.count("bytes from")

    def reaches(self, address: str) -> bool:
        """Whether every ping to an address is answered."""
        return self.lost_pings(address) == 0


THIS_MACHINE = Host("", "127.0.0.1")


@contextmanager
def network(hosts: int, prefix: str = "") -> Iterator[tuple[Host, Sequence[Host]]]:
    """Make a hub, which has the bridge, and so many hosts on it, at most 253.

    When the block ends all of it is gone, with every process that still runs there: as when machines are switched off.

    Args:
        hosts: How many, beside the hub.
        prefix: How the namespaces' names begin; they end in `-hub`, `-1`, `-2`, …  Empty: one that nobody else has.

    """
    prefix = prefix or f"ikto{os.getpid()}-{next(_numbers)}"
    with ExitStack() as stack:
        hub = _host(stack, f"{prefix}-hub", "10.66.0.254")
        hub.run("ip", "link", "add", "br0", "type", "bridge")
        hub.run("ip", "addr", "add", f"{hub.address}/24", "dev", "br0")
        hub.run("ip", "link", "set", "br0", "up")
        yield hub, [_wired(stack, hub, f"{prefix}-{n}", n) for n in range(1, hosts + 1)]


def namespaces() -> list[str]:
    """Return the names of all network namespaces, whoever made them."""
    return [path.name for path in NAMESPACES.iterdir()] if NAMESPACES.exists() else []


def remove_namespace(namespace: str) -> None:
    """End what still runs in a namespace (userspace WireGuard does), and delete it."""
    deadline, asked = time.monotonic() + END_TIMEOUT_S, set[int]()
    while pids := {int(pid) for pid in run("ip", "netns", "pids", namespace).split()}:
        late = time.monotonic() > deadline
        for pid in pids if late else pids - asked:
            with suppress(ProcessLookupError):
                os.kill(pid, SIGKILL if late else SIGTERM)
        asked |= pids
        time.sleep(0.01)
    run("ip", "netns", "del", namespace)


def _host(stack: ExitStack, namespace: str, address: str) -> Host:
    run("ip", "netns", "add", namespace)
    stack.callback(remove_namespace, namespace)
    host = Host(namespace, address)
    host.run("ip", "link", "set", "lo", "up")
    return host


def _wired(stack: ExitStack, hub: Host, namespace: str, number: int) -> Host:
    host = _host(stack, namespace, f"10.66.0.{number}")
    peer = ("type", "veth", "peer", "name", "eth0", "netns", host.namespace)
    hub.run("ip", "link", "add", f"port{number}", *peer)
    hub.run("ip", "link", "set", f"port{number}", "master", "br0", "up")
    host.run("ip", "addr", "add", f"{host.address}/24", "dev", "eth0")
    host.run("ip", "link", "set", "eth0", "up")
    return host
