"""A mesh of agents as processes against a real nats-server, as an operator has it."""

import asyncio
import itertools
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import pytest

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.errors import IktoError
from ikto_core.keys import PrivateKey
from ikto_core.mesh_settings import MeshSettings
from ikto_core.records import record_key
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.link import open_session
from ikto_core.store.session import NatsSettings
from ikto_core.testing.agent_process import AgentProcess, stopped_at_exit
from ikto_core.testing.nats_server import NatsServer

SLOWNESS = 10 if "IKTO_TEST_VM" in os.environ else 1  # the virtual machine is emulated
T = TypeVar("T")
_numbers = itertools.count(1)


def eventually(look: Callable[[], T], *, timeout_s: float = 30 * SLOWNESS) -> T:
    """Return what `look` returns once that is true; its last AssertionError or IktoError if it never is."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if found := look():
                return found
            failure: Exception = AssertionError("it never became true")
        except (AssertionError, IktoError) as error:
            failure = error
        if time.monotonic() > deadline:
            raise failure
        time.sleep(0.02 * SLOWNESS)


IMPATIENT = ("tests.impatient", "0.1")
"""A `program` whose agent dials and keeps again after 0.1 s at most."""


class Mesh:
    """A bucket of the test's own, and the agents that the test starts."""

    def __init__(self, server: NatsServer, directory: Path, stack: ExitStack) -> None:
        self.server = server
        self.name = f"mesh-{next(_numbers)}"
        self.agents: list[AgentProcess] = []
        self._directory = directory
        self._stack = stack
        self.on_bucket(lambda bucket: create_bucket(bucket, MeshSettings("fd10::/16", 48), replicas=1, memory=False))

    def agent(
        self,
        *,
        start: bool = True,
        key: PrivateKey | None = None,
        program: Sequence[str] = ("ikto_core",),
        **members: Any,
    ) -> AgentProcess:
        """Make a node, started unless told otherwise; `program` is what runs as `ikto`, and its first arguments."""
        number = len(self.agents) + 1
        config = {
            "name": f"node-{number}",
            "advertise_address": f"192.0.2.{number}",
            "private_address": f"fd10:{number}::",
            "nats_url": self.server.url,
            "nats_kv": self.name,
            "backend": "fake",
        }
        agent = AgentProcess(
            self._directory / f"n{number}",
            config | members,
            private_key=key,
            command=(sys.executable, "-m", *program),
        )
        self._stack.enter_context(stopped_at_exit([agent]))
        self.agents.append(agent)
        if start:
            agent.start()
        return agent

    def on_bucket(self, use: Callable[[Bucket], Coroutine[Any, Any, T]]) -> T:
        """Do something to the bucket over a connection of our own."""

        async def connected() -> T:
            async with open_session(NatsSettings(servers=(self.server.url,)), Random()) as session:
                return await use(Bucket(session, self.name))

        return asyncio.run(connected())

    def write(self, key: str, value: bytes | None) -> int:
        """Write a value (None: delete) whatever was there."""

        async def put(bucket: Bucket) -> int:
            entry = await bucket.get(key)
            return await bucket.put(key, value, expected=entry.revision if entry else 0)

        return self.on_bucket(put)

    def read(self, allowed_ip: str) -> bytes | None:
        """Return the record of a subnet as it stands in the bucket."""
        entry = self.on_bucket(lambda bucket: bucket.get(record_key(allowed_ip)))
        return entry.value if entry else None

    def assert_formed(self, *agents: AgentProcess) -> list[StatusView]:
        """Wait until each of these has exactly the others as peers, at the bucket's latest revision."""
        return eventually(lambda: self._formed(agents or tuple(self.agents)))

    def _formed(self, agents: tuple[AgentProcess, ...]) -> list[StatusView]:
        statuses = [agent.admin.status() for agent in agents]
        everybody = {str(agent.public_key) for agent in agents}
        latest = max(status.bucket_revision for status in statuses)
        for status in statuses:
            assert status.state is AgentState.READY
            assert status.device
            assert {peer.public_key for peer in status.device.peers} == everybody - {status.public_key}
            assert status.revision == status.bucket_revision == latest
        return statuses


@contextmanager
def mesh_on(server: NatsServer) -> Iterator[Mesh]:
    """A mesh in a directory with a short name: a unix socket's path has 107 bytes at most."""
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        yield Mesh(server, directory, stack)


@pytest.fixture
def mesh(shared_server: NatsServer) -> Iterator[Mesh]:
    """A mesh on a server that nobody may harm."""
    with mesh_on(shared_server) as mesh:
        yield mesh


@pytest.fixture
def lonely_mesh(own_server: NatsServer) -> Iterator[Mesh]:
    """A mesh on a server of its own, which the test may take away."""
    with mesh_on(own_server) as mesh:
        yield mesh
