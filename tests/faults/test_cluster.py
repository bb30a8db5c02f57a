"""One of three nats-servers dies, or says good-bye: the mesh stays writable, and every agent follows."""

from signal import Signals
from typing import Any

import pytest

from ikto_core.errors import NatsError
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_cluster import NatsCluster
from ikto_core.lab.nats_server import NatsServer
from ikto_core.store.bucket import Bucket
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh


def leader(mesh: FaultMesh, cluster: NatsCluster) -> NatsServer:
    """Return the server that leads the bucket's stream."""

    async def ask(bucket: Bucket) -> dict[str, Any]:
        return await bucket.call("STREAM.INFO", {})

    name = eventually(lambda: mesh.on_bucket(ask)["cluster"]["leader"])
    return cluster.servers[name]


def server_of(mesh: FaultMesh, cluster: NatsCluster) -> NatsServer:
    """Return the server that the first agent is connected to."""
    url = eventually(lambda: mesh.agents[0].admin.status().nats.server)
    assert url
    return cluster.at(url)


def looks(agent: AgentProcess) -> int:
    """Return how often an agent has looked at the bucket, in vain or not: a replica that is left answers."""
    counters = agent.admin.status().counters.follower
    return counters.checks + counters.failures


@pytest.mark.fault("cluster: the bucket's leader is killed, and comes back")
def test_leader_killed(clustered: FaultMesh, cluster: NatsCluster, converging: Stopwatch) -> None:
    """The two other servers elect a leader; no peer is removed, and writes continue."""
    clustered.formed(3)
    dead = leader(clustered, cluster)
    dead.kill()
    with converging.running():
        clustered.assert_follows()
    clustered.assert_nobody_removed()
    dead.start()
    clustered.assert_follows()
    clustered.assert_nobody_removed()


@pytest.mark.fault("cluster: the server that an agent is connected to is killed")
def test_connected_server_killed(clustered: FaultMesh, cluster: NatsCluster, converging: Stopwatch) -> None:
    """Its agents connect to another server."""
    clustered.formed(3)
    dead = server_of(clustered, cluster)
    dead.kill()
    with converging.running():
        clustered.assert_follows()
    assert server_of(clustered, cluster) is not dead
    clustered.assert_nobody_removed()


@pytest.mark.fault("cluster: a server enters lame-duck mode (SIGUSR2)")
def test_lame_duck(clustered: FaultMesh, cluster: NatsCluster, converging: Stopwatch) -> None:
    """Its agents connect to another server before it ends."""
    clustered.formed(3)
    leaving = server_of(clustered, cluster)
    leaving.send(Signals.SIGUSR2)
    with converging.running():
        eventually(lambda: server_of(clustered, cluster) is not leaving, timeout_s=60)
        clustered.assert_follows()
    clustered.assert_nobody_removed()


@pytest.mark.fault("cluster: two of three servers are killed, until every agent has checked the bucket again")
def test_quorum_lost(clustered: FaultMesh, cluster: NatsCluster, converging: Stopwatch) -> None:
    """Without a majority nothing can be written and no peer is removed; once it is back everything continues."""
    clustered.formed(3)
    dead = list(cluster.servers.values())[:2]
    for server in dead:
        server.kill()
    with pytest.raises(NatsError):
        clustered.add_stranger()
    before = {agent: looks(agent) for agent in clustered.agents}
    eventually(lambda: all(looks(agent) > before[agent] for agent in clustered.agents), timeout_s=75)
    clustered.assert_nobody_removed()
    for server in dead:
        server.start()
    with converging.running():
        clustered.assert_follows()
    clustered.assert_nobody_removed()
