"""An agent that takes part in a mesh has imported nothing that it does not use."""

from pathlib import Path

from ikto_core.lab.agent_process import AgentProcess, stopped_at_exit
from tests.e2e.conftest import Mesh
from tests.listed_modules import NEVER_IN_AN_AGENT, listing, modules_in


def test_a_running_agent_has_imported_only_what_it_uses(lonely_mesh: Mesh, tmp_path: Path) -> None:
    unstarted = lonely_mesh.agent(start=False)
    agent = AgentProcess(unstarted.directory.with_name("lean"), unstarted.config, command=listing(tmp_path / "modules"))
    with stopped_at_exit([agent]):
        agent.start()
        lonely_mesh.assert_formed(agent, lonely_mesh.agent())
        assert agent.stop() == 0, agent.log_text()
    found = modules_in(tmp_path / "modules")
    assert {"nats.aio.client", "h11", "structlog"} <= found
    assert found & NEVER_IN_AN_AGENT == set()
