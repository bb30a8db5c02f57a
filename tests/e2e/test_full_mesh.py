"""A mesh with no subnet left says so and lets nobody half in; who comes when one is free again gets it."""

from functools import partial
from typing import Any

import pytest

from ikto_core.disk.state_file import StateFile
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import record_key
from ikto_core.mesh.settings import MESH_KEY, MeshSettings
from tests.e2e.conftest import Mesh, eventually

pytestmark = pytest.mark.e2e

CIDR, LENGTH = "10.9.0.0/28", 30
FULL = "ikto: the mesh 10.9.0.0/28 has no free subnet of length 30: 3 of 3 are taken (delete the records of nodes"


@pytest.fixture
def tiny(mesh: Mesh) -> Mesh:
    """A mesh with room for three."""
    mesh.write(MESH_KEY, MeshSettings(CIDR, LENGTH).encode())
    return mesh


def joining(mesh: Mesh, ipam: str) -> AgentProcess:
    settings: dict[str, Any] = {"mesh_cidr": CIDR, "subnet_prefix": LENGTH, "private_address": "auto"}
    return mesh.agent(start=False, ipam=ipam, removal_limit=100, **settings)


def subnets_of(agents: list[AgentProcess]) -> set[str]:
    return {allowed_ip for agent in agents if (allowed_ip := agent.admin.status().allowed_ip)}


def test_a_node_that_finds_the_mesh_full_reports_it_and_leaves_nothing(tiny: Mesh) -> None:
    agents = [joining(tiny, ipam) for ipam in ("random", "sequential", "hash")]
    for agent in agents:
        agent.start()
        eventually(partial(subnets_of, [agent]))
    before = tiny.assert_formed(*agents)[0].bucket_revision
    assert subnets_of(agents) == {"10.9.0.4/30", "10.9.0.8/30", "10.9.0.12/30"}

    late = joining(tiny, "random")
    late.start()
    assert late.wait() == 4
    said = [line for line in late.log_text().splitlines() if line.startswith("ikto: ")]
    assert len(said) == 1
    assert said[0].startswith(FULL)
    assert "Traceback" not in late.log_text()
    assert tiny.assert_formed(*agents)[0].bucket_revision == before, "it wrote nothing"
    assert StateFile(late.directory / "state").load().claim is None

    gone = agents.pop()
    freed = gone.admin.status().allowed_ip or ""
    gone.stop()
    tiny.write(record_key(freed), None)
    late.start()
    tiny.assert_formed(*agents, late)
    assert late.admin.status().allowed_ip == freed


@pytest.mark.parametrize("ipam", ["sequential", "random"])
def test_of_five_nodes_that_start_at_once_three_find_room(tiny: Mesh, ipam: str) -> None:
    """Also who saw room when it came, and lost each race for it, is told that the mesh is full."""
    agents = [joining(tiny, ipam) for _ in range(5)]
    for agent in agents:
        agent.start()
    eventually(lambda: sum(agent.running for agent in agents) == 3)
    inside = [agent for agent in agents if agent.running]
    tiny.assert_formed(*inside)
    assert subnets_of(inside) == {"10.9.0.4/30", "10.9.0.8/30", "10.9.0.12/30"}
    for agent in set(agents).difference(inside):
        assert agent.wait() == 4
        assert FULL in agent.log_text()
