"""The bucket is lost, wiped, or goes back in time."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import pytest

from ikto_core.lab.nats_server import NatsServer
from ikto_core.store.bucket import Bucket
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh, expected, shown


async def delete_stream(bucket: Bucket) -> None:
    await bucket.call("STREAM.DELETE", {})


@pytest.mark.fault("the stream is deleted and created again at once")
def test_made_anew(mesh: FaultMesh, converging: Stopwatch) -> None:
    """Every running agent claims again, and peers without an agent are removed."""
    mesh.formed(3)
    mesh.assert_follows()
    mesh.on_bucket(delete_stream)
    mesh.create_bucket()
    with converging.running():
        eventually(lambda: len(expected(mesh.agents[0], mesh.truth())) == 2)
        mesh.assert_whole()


@pytest.mark.fault("the stream is deleted and created again later")
def test_missing(mesh: FaultMesh, converging: Stopwatch) -> None:
    """A missing bucket is not an empty one: no peer is removed until it is back."""
    mesh.formed(3)
    before = {agent: shown(agent) for agent in mesh.agents}
    mesh.on_bucket(delete_stream)
    for agent in mesh.agents:
        agent.admin.resync()
    eventually(lambda: all(agent.admin.status().nats.failure for agent in mesh.agents), timeout_s=60)
    mesh.assert_nobody_removed()
    assert {agent: shown(agent) for agent in mesh.agents} == before
    mesh.create_bucket()
    with converging.running():
        eventually(lambda: len(expected(mesh.agents[0], mesh.truth())) == 2, timeout_s=75)
        mesh.assert_whole()


@pytest.mark.fault("a bucket in memory is lost: its server is killed")
def test_memory_lost(server: NatsServer, directory: Path, stack: ExitStack, converging: Stopwatch) -> None:
    """Every agent claims again."""
    mesh = FaultMesh(server, directory, stack, memory=True)
    mesh.create_bucket()
    mesh.formed(3)
    server.kill()
    server.start()
    mesh.create_bucket()
    with converging.running():
        eventually(lambda: len(expected(mesh.agents[0], mesh.truth())) == 2, timeout_s=75)
        mesh.assert_follows()


@pytest.mark.fault("an older backup of the bucket is restored")
def test_backup_restored(mesh: FaultMesh, server: NatsServer, directory: Path, converging: Stopwatch) -> None:
    """Agents that joined since claim again, the others stay; other writes since are forgotten everywhere."""
    mesh.formed(2)
    server.stop()
    shutil.copytree(server.directory, directory / "backup")
    server.start()
    mesh.assert_follows()
    late = mesh.agent()
    mesh.assert_whole()
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(directory / "backup", server.directory)
    server.start()
    with converging.running():
        eventually(lambda: late.public_key in expected(mesh.agents[0], mesh.truth()), timeout_s=75)
        mesh.assert_whole()
    assert set(shown(late)) == {agent.public_key for agent in mesh.agents[:2]}


@pytest.mark.fault("the last writes are lost, and others are written in their place")
def test_rewritten(mesh: FaultMesh, server: NatsServer, directory: Path, converging: Stopwatch) -> None:
    """Agents detect a history that is as long as the one that they know, but different."""
    mesh.formed(2)
    server.stop()
    shutil.copytree(server.directory, directory / "backup")
    server.start()
    eventually(lambda: all(agent.admin.status().nats.connected for agent in mesh.agents))
    mesh.add_strangers(3)
    mesh.assert_whole()
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(directory / "backup", server.directory)
    server.start()
    mesh.add_strangers(3)
    with converging.running():
        mesh.assert_whole()
