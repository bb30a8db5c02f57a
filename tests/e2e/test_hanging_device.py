"""A device that hangs or can't be made does not hang the agent, its start or its end, and everybody is told."""

from collections.abc import Iterator
from pathlib import Path
from signal import SIGTERM

import pytest

from ikto_core.admin.views import AgentState
from ikto_core.lab.agent_process import AgentProcess
from tests.agent.notified import Manager, fake_manager
from tests.e2e.conftest import Mesh, eventually

pytestmark = pytest.mark.e2e


def hang(agent: AgentProcess) -> None:
    """Have every write of the agent hang from now on."""
    (agent.directory / "hang").touch()


def is_stuck(agent: AgentProcess) -> bool:
    status = agent.admin.status()
    assert status.state is AgentState.DEGRADED
    assert status.device_failure == "backend 'fake': apply to wg0 did not return within 0.3 s"
    assert status.device_hint
    return status.device_stuck


@pytest.mark.parametrize("how", ["thread", pytest.param("deaf", marks=pytest.mark.slow)])
def test_a_write_that_hangs_makes_the_agent_degraded_and_sigterm_ends_it(mesh: Mesh, how: str) -> None:
    agent = mesh.agent(program=("tests.hanging", how))
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    hang(agent)
    mesh.agent()
    eventually(lambda: is_stuck(agent))
    eventually(lambda: agent.log_text().count("sync failed") >= 2)  # later passes fail at once
    assert agent.admin.status().accepted == 1, "the bucket is followed all the same"
    agent.send(SIGTERM)
    assert agent.wait() == 0
    assert "did not stop in time, ending now" in agent.log_text()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """The service manager of the agents that the test makes."""
    with fake_manager(tmp_path) as (manager, environ):
        monkeypatch.setenv("NOTIFY_SOCKET", environ["NOTIFY_SOCKET"])
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        yield manager


def test_the_watchdog_of_systemd_is_not_fed_while_a_write_hangs(
    manager: Manager, mesh: Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = mesh.agent(program=("tests.hanging", "thread"))
    eventually(lambda: manager.values("READY") == ["1"])
    eventually(lambda: manager.values("STATUS")[-1] == "ready; 0 peers")
    eventually(lambda: manager.values("WATCHDOG"))
    hang(agent)
    monkeypatch.delenv("NOTIFY_SOCKET")  # the other agent is no service
    mesh.agent()
    eventually(lambda: is_stuck(agent))
    eventually(lambda: manager.values("STATUS")[-1].startswith("degraded: backend 'fake': apply to wg0 did not return"))
    eventually(lambda: manager.values("STATUS")[-1].endswith("; 1 peer"))  # a write may have hung before it came
    failures = agent.log_text().count("sync failed")
    eventually(lambda: agent.log_text().count("sync failed") > failures)  # the event loop runs on
    [*_, last] = manager.received()
    assert last[0].startswith("STATUS=degraded: backend 'fake'")
    assert "WATCHDOG=1" not in last


def test_a_start_that_can_not_succeed_does_not_hang_the_service_manager(manager: Manager, mesh: Mesh) -> None:
    agent = mesh.agent(program=("tests.hanging", "refuse"))
    eventually(lambda: manager.values("READY") == ["1"])
    agent.stop()
    (agent.directory / "state" / "fake-wg0.json").unlink()  # as after a reboot
    hang(agent)
    agent.start()
    eventually(lambda: len(manager.values("READY")) == 2)
    assert manager.values("STATUS")[-1] == "degraded: no permission (run as root); 0 peers"
    assert agent.running


def test_a_first_start_that_fails_is_never_ready(manager: Manager, mesh: Mesh) -> None:
    agent = mesh.agent(program=("tests.hanging", "refuse"), start=False)
    hang(agent)
    agent.start()
    assert agent.wait() == 6
    assert "ikto: no permission (run as root)" in agent.log_text()
    assert manager.values("READY") == []
