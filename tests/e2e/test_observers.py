"""An agent's observers, as an operator has them: a program that is run, its failures in the status, a wrong name."""

import stat
from pathlib import Path

import msgspec
import pytest

from ikto_core.admin.views import ObserverView
from ikto_core.errors import PluginError
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import record_key
from ikto_core.observers.contract import MeshEvent, MeshReady, PeerAccepted, PeerChanged, PeerRemoved, Resync
from ikto_core.observers.replay import Replay
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.forked import run_ikto

pytestmark = pytest.mark.e2e


class Hook:
    """A program that notes what it reads, and fails for as long as it is told to."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "hook"
        self.fails = directory / "fails"
        self._notes = directory / "notes"
        self.path.write_text(
            f"#!/bin/sh\n[ ! -e {self.fails} ] || {{ echo no way >&2; exit 3; }}\ncat >> {self._notes}\n"
        )
        self.path.chmod(stat.S_IRWXU)

    @property
    def events(self) -> list[MeshEvent]:
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [msgspec.json.decode(line, type=MeshEvent) for line in lines]

    @property
    def mesh(self) -> Replay:
        replay = Replay()
        replay.see(self.events)
        return replay


@pytest.fixture
def hook(tmp_path: Path) -> Hook:
    return Hook(tmp_path)


def observer(agent: AgentProcess) -> ObserverView:
    [found] = agent.admin.status().observers
    return found


def test_a_program_is_told_of_peers_and_of_nothing_twice_when_the_key_is_rotated(mesh: Mesh, hook: Hook) -> None:
    agent, peer = mesh.agent(program=IMPATIENT, observers=[f"exec={hook.path}"], removal_limit=100), mesh.agent()
    mesh.assert_formed()
    eventually(lambda: hook.mesh.ready and hook.mesh.peers)
    assert [known.name for known in hook.mesh.peers.values()] == [peer.name]
    assert hook.mesh.ready
    assert hook.mesh.ready.subnet == agent.admin.status().allowed_ip
    run_ikto("key", "rotate", "-s", str(agent.socket)).check_returncode()
    subnet = str(peer.admin.status().allowed_ip)
    peer.stop()
    mesh.write(record_key(subnet), None)
    eventually(lambda: hook.mesh.peers == {})
    kinds = [type(event) for event in hook.events if not isinstance(event, PeerChanged)]
    assert sorted(kinds, key=str) == sorted([Resync, PeerAccepted, MeshReady, PeerRemoved], key=str)
    eventually(lambda: observer(agent).counters.events >= len(kinds))  # counted when the program has ended


def test_a_failing_observer_is_in_the_status_and_harms_nobody(mesh: Mesh, hook: Hook) -> None:
    hook.fails.touch()
    agent = mesh.agent(observers=[f"exec={hook.path}"])
    mesh.agent()
    mesh.assert_formed()
    eventually(lambda: observer(agent).failure)
    assert "no way" in str(observer(agent).failure)
    assert "no way" in agent.log_text()
    hook.fails.unlink()
    eventually(lambda: hook.mesh.ready)
    eventually(lambda: observer(agent).failure is None)


def test_an_unknown_observer_ends_the_start_in_one_line(mesh: Mesh) -> None:
    agent = mesh.agent(observers=["hsots"])
    assert agent.wait() == PluginError.exit_code
    assert "did you mean 'hosts'?" in agent.log_text().splitlines()[-1]
