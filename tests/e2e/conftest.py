"""A mesh of agents as processes against a real nats-server, as an operator has it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ikto_core.lab.nats_server import NatsServer
from tests.agent_mesh import IMPATIENT, SLOWNESS, Mesh, eventually

__all__ = ["IMPATIENT", "SLOWNESS", "Mesh", "eventually"]


@contextmanager
def mesh_on(server: NatsServer, **login: str) -> Iterator[Mesh]:
    """A mesh in a directory with a short name: a unix socket's path has 107 bytes at most.

    `login`: members of the configuration that the test's own connections log in with.
    """
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        made = Mesh(server, directory, stack)
        made.login = dict(login)
        made.create_bucket()
        yield made


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
