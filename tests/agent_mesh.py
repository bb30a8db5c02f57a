"""A mesh of agents as processes against real nats-servers, as an operator has it, with hands to look and to tamper."""

import asyncio
import itertools
import os
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from ikto_core.admin.views import AgentState, StatusView
from ikto_core.agent.from_config import nats_settings
from ikto_core.config import config_from_flags
from ikto_core.errors import IktoError
from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import record_key
from ikto_core.mesh.settings import MeshSettings
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_bucket
from ikto_core.store.connection import open_session
from ikto_core.values.keys import PrivateKey
from tests.forked import ForkedAgent

SLOWNESS = 10 if "IKTO_TEST_VM" in os.environ else 1  # the virtual machine is emulated
T = TypeVar("T")
SETTINGS = MeshSettings("fd10::/16", 48)
_numbers = itertools.count(1)


def eventually(look: Callable[[], T], *, timeout_s: float = 90 * SLOWNESS) -> T:
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


def has_endpoints(agent: AgentProcess) -> bool:
    """Whether every peer has one: that of a peer that is to speak first is written a second later."""
    device = agent.admin.status().device
    assert device
    return all(peer.endpoint for peer in device.peers)


IMPATIENT = ("tests.impatient", "0.1")
"""A `program` whose agent dials and keeps again after 0.1 s at most."""


class Mesh:
    """A bucket of the test's own, and the agents that the test starts.

    Args:
        server: Where the bucket is.
        directory: Where agents keep what is theirs. Its path must be short enough for a socket.
        stack: What stops them.
        url: The servers of a cluster, separated by commas; empty: `server` alone.
        replicas: How many servers keep the bucket.
        memory: Whether they keep it in memory only.

    """

    def __init__(
        self,
        server: NatsServer,
        directory: Path,
        stack: ExitStack,
        *,
        url: str = "",
        replicas: int = 1,
        memory: bool = False,
    ) -> None:
        self.server = server
        self.url = url or server.url
        self.login: dict[str, str] = {}  # members of the configuration that our own connections log in with
        self.name = f"mesh-{next(_numbers)}"
        self.agents: list[AgentProcess] = []
        self._directory = directory
        self._stack = stack
        self._replicas = replicas
        self._memory = memory

    def create_bucket(self) -> bool:
        """Make the bucket; return False if it was there."""
        replicas, memory = self._replicas, self._memory
        return self.on_bucket(lambda bucket: create_bucket(bucket, SETTINGS, replicas=replicas, memory=memory))

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
            "nats_url": self.url,
            "nats_kv": self.name,
            "backend": "fake",
        }
        agent = ForkedAgent(
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
            login = config_from_flags({"private_address": "auto", "nats_url": self.url} | self.login)
            async with open_session(nats_settings(login, "mesh"), Random()) as session:
                return await use(Bucket(session, self.name))

        return asyncio.run(connected())

    def write(self, key: str, value: bytes | None) -> int:
        """Write a value (None: delete) whatever was there."""

        async def put(bucket: Bucket) -> int:
            entry = await bucket.get(key)
            return await bucket.put(key, value, expected=entry.revision if entry else 0)

        return self.on_bucket(put)

    def read(self, allowed_ip: str) -> bytes | None:
        """Return the record of a subnet in the bucket."""
        entry = self.on_bucket(lambda bucket: bucket.get(record_key(allowed_ip)))
        return entry.value if entry else None

    def assert_formed(self, *agents: AgentProcess) -> list[StatusView]:
        """Wait until each of these has exactly the others as peers, at the bucket's latest revision."""
        return eventually(lambda: self._formed(agents or tuple(self.agents)))

    def _formed(self, agents: tuple[AgentProcess, ...]) -> list[StatusView]:
        statuses = [agent.admin.status() for agent in agents]
        everybody = {str(agent.public_key) for agent in agents}
        for status in statuses:
            assert status.state is AgentState.READY
            assert status.device
            assert {peer.public_key for peer in status.device.peers} == everybody - {status.public_key}
        latest = self.on_bucket(lambda bucket: bucket.info()).last_revision  # an agent may not know of it yet
        for status in statuses:
            assert status.revision == status.bucket_revision == latest
        return statuses
