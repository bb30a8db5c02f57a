"""A mesh of two agents that a third node attacks."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ikto_core.lab.nats_server import NatsServer, running_server
from tests import forked
from tests.forked import END_WITH_TESTS
from tests.trust.attacked_mesh import NODES, AttackedMesh, permitted
from tests.trust.hostile import HostileMesh
from tests.trust.worlds import World, server_of


@pytest.fixture
def mesh(tmp_path: Path) -> Iterator[AttackedMesh]:
    """Two agents; the server of their bucket knows four users."""
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        server = NatsServer(tmp_path)
        made = AttackedMesh(server, directory, stack)
        users = ['{ user: admin, password: "secret" }', *(permitted(made.name, name) for name in NODES)]
        server.config = f"authorization {{ users: [ {', '.join(users)} ] }}"
        stack.callback(server.stop)
        made.url = server.start().url
        made.login = {"nats_user": "admin", "nats_password": "secret"}
        made.create_bucket()
        made.permitted_agent()
        made.permitted_agent()
        made.assert_formed()
        yield made


@pytest.fixture
def hostile_mesh(tmp_path: Path, world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileMesh]:
    """Two agents in a world; its server knows one more node, and two that are hostile.

    Agents are always forked: a thorough run starts so many that their interpreters would take minutes.
    """
    monkeypatch.setattr(forked, "THOROUGH", False)
    directory = Path(tempfile.mkdtemp(prefix="ikto-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, directory)
        config, users = server_of(world, tmp_path, monkeypatch.setenv)
        server = stack.enter_context(running_server(tmp_path / "nats", config, exec_prefix=END_WITH_TESTS))
        made = HostileMesh(world, server, directory, stack, users)
        made.create_bucket()
        made.next_agent()
        made.next_agent()
        made.assert_formed()
        yield made
