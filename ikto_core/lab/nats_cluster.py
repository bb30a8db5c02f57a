"""A cluster of nats-servers with JetStream, for tests and demos."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ikto_core.lab.nats_server import NatsServer

ADDRESS = "127.0.0.1"


class NatsCluster:
    """Servers by name; each can be killed, frozen and restarted on its own."""

    def __init__(self, directory: Path, size: int = 3, config: str = "") -> None:
        routes = _free_ports(size)
        known = ", ".join(f"nats-route://{ADDRESS}:{port}" for port in routes)
        self.servers = {
            f"n{number}": NatsServer(
                directory / f"n{number}",
                f"server_name: n{number}\n"
                f'cluster {{ name: ikto, listen: "{ADDRESS}:{port}", routes: [{known}] }}\n{config}',
            )
            for number, port in enumerate(routes, 1)
        }

    @property
    def url(self) -> str:
        """All servers, separated by commas."""
        return ",".join(server.url for server in self.servers.values())

    def at(self, url: str) -> NatsServer:
        """Return the server with this URL."""
        return next(server for server in self.servers.values() if server.url == url)

    def start(self) -> None:
        """Start all servers; they elect their leaders after this returns."""
        for server in self.servers.values():
            server.start()


@contextmanager
def running_cluster(directory: Path, size: int = 3, config: str = "") -> Iterator[NatsCluster]:
    """Run a cluster for the length of a block."""
    cluster = NatsCluster(directory, size, config)
    with ExitStack() as stack:
        for server in cluster.servers.values():
            stack.callback(server.kill)
        cluster.start()
        yield cluster


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now. All routes must be known before the first server starts."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((ADDRESS, 0))
        return [one.getsockname()[1] for one in sockets]
