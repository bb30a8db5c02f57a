"""Hosts in network namespaces, joined by a bridge: several machines on one, for root only."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count

_numbers = count(1)


def run(*command: str) -> str:
    """Run a program and return what it prints; CalledProcessError if it fails."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - the caller's program


class Host:
    """A namespace with one wire to the bridge."""

    def __init__(self, namespace: str, address: str) -> None:
        self.namespace = namespace
        self.address = address

    @property
    def within(self) -> tuple[str, ...]:
        """What to put before a command that shall run on this host."""
        return ("ip", "netns", "exec", self.namespace)

    def run(self, *command: str) -> str:
        """Run a program on this host; as the function of the same name."""
        return run(*self.within, *command)

    def lost_pings(self, address: str, *, count: int = 5) -> int:
        """Ping an address and return how many answers never came."""
        command = [*self.within, "ping", "-c", str(count), "-i", "0.2", "-W", "5", address]
        said = subprocess.run(command, check=False, capture_output=True, text=True).stdout  # noqa: S603 - our own list
        return count - said.count("bytes from")

    def reaches(self, address: str) -> bool:
        """Whether every ping to an address is answered."""
        return self.lost_pings(address) == 0


@contextmanager
def network(hosts: int) -> Iterator[tuple[Host, Sequence[Host]]]:
    """Make a hub, which has the bridge, and so many hosts on it; all of it is gone when the block ends."""
    prefix = f"ikto{os.getpid()}-{next(_numbers)}"
    with ExitStack() as stack:
        hub = _host(stack, f"{prefix}-hub", "10.66.0.254")
        hub.run("ip", "link", "add", "br0", "type", "bridge")
        hub.run("ip", "addr", "add", f"{hub.address}/24", "dev", "br0")
        hub.run("ip", "link", "set", "br0", "up")
        yield hub, [_wired(stack, hub, f"{prefix}-{n}", n) for n in range(1, hosts + 1)]


def _host(stack: ExitStack, namespace: str, address: str) -> Host:
    run("ip", "netns", "add", namespace)
    stack.callback(run, "ip", "netns", "del", namespace)
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
