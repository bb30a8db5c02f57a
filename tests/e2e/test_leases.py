"""Agents with leases: who is gone for good goes from the mesh, an outage that outlasts every lease takes nobody."""

import time
from functools import partial

import pytest

from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import record_key
from ikto_core.store.bucket import Bucket
from ikto_core.store.bucket_admin import create_renewals
from tests.e2e.conftest import IMPATIENT, Mesh, eventually

LEASE_S = 6
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def leased(mesh: Mesh) -> AgentProcess:
    return mesh.agent(program=IMPATIENT, lease=f"{LEASE_S}s", removal_limit=100)


def subnet(agent: AgentProcess) -> str:
    return f"{agent.config['private_address']}/48"


def renewed(mesh: Mesh, agents: list[AgentProcess]) -> bool:
    async def look(bucket: Bucket) -> bool:
        return all([await bucket.renewals().get(record_key(subnet(agent))) for agent in agents])

    return mesh.on_bucket(look)


def test_dead_nodes_are_removed_and_an_outage_longer_than_every_lease_removes_no_other(lonely_mesh: Mesh) -> None:
    mesh = lonely_mesh
    assert mesh.on_bucket(create_renewals)
    alive, dead, unleased = [leased(mesh), leased(mesh)], leased(mesh), mesh.agent(program=IMPATIENT)
    mesh.assert_formed()
    eventually(lambda: renewed(mesh, [*alive, dead]))
    dead.kill()
    unleased.kill()  # a record without a lease stays
    mesh.server.kill()
    time.sleep(1.5 * LEASE_S)  # the outage
    mesh.server.start()
    before = mesh.on_bucket(lambda bucket: bucket.info())
    eventually(lambda: mesh.read(subnet(dead)) is None)
    assert mesh.on_bucket(lambda bucket: bucket.info()).last_revision == before.last_revision + 1
    eventually(lambda: sum(agent.admin.status().counters.lease.records_removed for agent in alive) == 1)
    for agent in alive:
        eventually(partial(releases, agent, dead))
        lease = agent.admin.status().lease
        assert lease
        assert (lease.failure, lease.refusal) == ("", "")
        assert lease.renewed_at
        assert time.time() - LEASE_S < lease.renewed_at.timestamp() <= time.time()
        assert str(unleased.public_key) in shown(agent)


def releases(agent: AgentProcess, dead: AgentProcess) -> bool:
    return str(dead.public_key) not in shown(agent)


def shown(agent: AgentProcess) -> set[str]:
    device = agent.admin.status().device
    assert device
    return {peer.public_key for peer in device.peers}
