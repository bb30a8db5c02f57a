"""A service manager that reads what it is sent: a fake notify socket."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket


class Manager:
    """What was sent to a notify socket, assignment by assignment, each with the ones sent beside it."""

    def __init__(self, listener: socket) -> None:
        self._listener = listener
        self._received: list[list[str]] = []

    def received(self) -> list[list[str]]:
        """Return every message so far."""
        while True:
            try:
                self._received.append(self._listener.recv(65536).decode().splitlines())
            except BlockingIOError:
                return self._received

    def values(self, name: str) -> list[str]:
        """Return the values that were assigned to a name, in order."""
        pairs = (line.partition("=") for message in self.received() for line in message)
        return [value for found, _, value in pairs if found == name]


@contextmanager
def fake_manager(directory: Path) -> Iterator[tuple[Manager, dict[str, str]]]:
    """Yield a manager, and the environment with which a program finds it."""
    path = directory / "notify"
    with socket(AF_UNIX, SOCK_DGRAM) as listener:
        listener.bind(str(path))
        listener.setblocking(False)
        yield Manager(listener), {**os.environ, "NOTIFY_SOCKET": str(path)}
