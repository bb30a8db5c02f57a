"""Runs the sessions of pages on hosts in a directory that is gone afterwards, as everything that ran there."""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from ikto_core.lab import network as lab
from ikto_core.lab.nats_server import NatsServer
from ikto_core.lab.network import THIS_MACHINE, network
from tests.agent_mesh import eventually
from tests.docs.hosts import Done, Host, readable
from tests.docs.sessions import Command, is_as_shown
from tests.forked import END_WITH_TESTS

LOOKS = (
    "ikto status",
    "ikto peers",
    "ikto info",
    "ikto node list",
    "ikto node show",
    "ikto bucket show",
    "ikto mesh",
    "journalctl",
    "systemctl is-active",
    "ping",
)
"""Commands that change nothing: what they show may come a moment later, so they are run until it is there."""


class Hosts:
    """The hosts of a session, and the server that they share.

    Args:
        directory: For the hosts' directories.
        server: On the host `nats`.
        networks: The hosts' names, each with its network.

    """

    def __init__(self, directory: Path, server: NatsServer, networks: Mapping[str, lab.Host]) -> None:
        self.directory = directory
        self.server = server
        self._hosts = {
            name: Host(directory / name, number, server, network)
            for number, (name, network) in enumerate(networks.items(), 1)
        }
        self._codes: dict[str, int] = {}

    def run_one(self, name: str, text: str) -> str:
        """Run a command that can't fail on a host, and return its output."""
        done = self._hosts[name].run(text, 0)
        assert done.code == 0, done.output
        return done.output

    def run(self, page: str, session: list[Command]) -> None:
        """Run the commands of a page. Fails at the first that does not show what the page says."""
        for number, command in enumerate(session):
            following = session[number + 1] if number + 1 < len(session) else None
            may_fail = following is not None and following.text == "echo $?"
            done = self._run(command, may_fail=may_fail)
            self._codes[command.host] = done.code
            if not self._is_right(command, done, may_fail=may_fail):
                pytest.fail(self._report(page, command, done), pytrace=False)

    def _run(self, command: Command, *, may_fail: bool) -> Done:
        host, before = self._hosts[command.host], self._codes.get(command.host, 0)
        done = host.run(command.text, before)
        if not command.text.startswith(LOOKS):
            return done

        def look() -> bool:
            nonlocal done
            right = self._is_right(command, done, may_fail=may_fail)
            done = done if right else host.run(command.text, before)
            return right

        with suppress(AssertionError):  # the caller reports what was shown last
            eventually(look, timeout_s=60)
        return done

    @staticmethod
    def _is_right(command: Command, done: Done, *, may_fail: bool) -> bool:
        return (may_fail or done.code == 0) and is_as_shown(done.output, command.shown)

    def _report(self, page: str, command: Command, done: Done) -> str:
        where = f"{page}, line {command.line}: {command.host}: {command.text}"
        return (
            f"{where}\nended with {done.code} and shows:\n{done.output}\nlogs:\n{readable(list(self._hosts.values()))}"
        )

    def stop(self) -> None:
        """Stop the agents."""
        for host in self._hosts.values():
            host.stop_agent()


@contextmanager
def hosts(names: Iterable[str]) -> Iterator[Hosts]:
    """Hosts without a network of their own, and devices in memory."""
    with _running(dict.fromkeys(sorted({"nats", *names}), THIS_MACHINE)) as made:
        yield made


@contextmanager
def hosts_with_tunnels(names: Iterable[str]) -> Iterator[Hosts]:
    """Hosts in namespaces, with userspace WireGuard; for root only."""
    nodes = sorted({*names} - {"nats"})
    with (
        network(len(nodes)) as (hub, connected),
        _running({"nats": hub, **dict(zip(nodes, connected, strict=True))}) as made,
    ):
        yield made


@contextmanager
def _running(networks: Mapping[str, lab.Host]) -> Iterator[Hosts]:
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))  # a short name: a unix socket's path has 107 bytes at most
    hub = networks["nats"]
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        prefix = (*END_WITH_TESTS, *hub.exec_prefix)
        server = NatsServer(directory / "nats/var/lib/nats", address=hub.address, exec_prefix=prefix)
        made = Hosts(directory, server, networks)
        stack.callback(server.stop)
        stack.callback(made.stop)
        server.start()
        yield made
