"""`ikto wait` and the exit code of `ikto status`, with real agents, also before they run and after NATS is gone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ikto_core.admin.views import AgentState
from ikto_core.lab.agent_process import AgentProcess
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.forked import PATIENCE_S, ForkedProgram, run_ikto

pytestmark = pytest.mark.e2e


class Waiting:
    """A running `ikto wait`."""

    def __init__(self, agent: AgentProcess, directory: Path, *options: str) -> None:
        self._stderr = directory / "stderr"
        command = ["ikto_core", "wait", "-s", str(agent.socket), *options]
        self._program = ForkedProgram(command, os.environ, directory / "stdout", self._stderr)

    def ended(self) -> tuple[int, str]:
        return self._program.wait(PATIENCE_S), self._stderr.read_text()

    def is_running(self) -> bool:
        return self._program.poll() is None

    def kill(self) -> None:
        self._program.kill()


@contextmanager
def waiting(agent: AgentProcess, directory: Path, *options: str) -> Iterator[Waiting]:
    made = Waiting(agent, directory, *options)
    try:
        yield made
    finally:
        made.kill()


def wait(agent: AgentProcess, *options: str) -> tuple[int, str]:
    done = run_ikto("wait", "-s", str(agent.socket), *options)
    return done.returncode, done.stderr


def test_it_waits_for_an_agent_that_does_not_run_yet(mesh: Mesh, tmp_path: Path) -> None:
    agent = mesh.agent(start=False)
    with waiting(agent, tmp_path, "--claimed", "--ready", "--timeout", "60s") as waiter:
        agent.start()
        assert waiter.ended() == (0, "")
    assert mesh.read("fd10:1::/48")
    assert agent.admin.progress().claimed


def test_it_waits_for_peers_and_for_one_by_name(mesh: Mesh, tmp_path: Path) -> None:
    agent = mesh.agent()
    assert wait(agent, "--ready") == (0, "")
    options = ("--peers", "1", "--peer", "node-2", "--timeout", "60s")
    with waiting(agent, tmp_path, *options) as waiter:
        assert waiter.is_running()
        mesh.agent()
        assert waiter.ended() == (0, "")
    assert wait(agent, "--peer", "fd10:2::7", "--timeout", "0") == (0, "")


def test_a_revision_is_waited_for(mesh: Mesh, tmp_path: Path) -> None:
    agent = mesh.agent()
    assert wait(agent, "--ready") == (0, "")
    latest = mesh.on_bucket(lambda bucket: bucket.info()).last_revision
    with waiting(agent, tmp_path, "--revision", str(latest + 1), "--timeout", "60s") as waiter:
        mesh.write("other", b"x")
        assert waiter.ended() == (0, "")
    assert agent.admin.progress().revision == latest + 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--peers", "5"), "0 of 5 peers"),
        (("--peer", "nobody"), "no peer 'nobody'"),
        (("--revision", "99999"), "the device shows revision"),
        (("--peer", "nobody", "--reachable"), "no peer 'nobody'"),
    ],
)
def test_what_does_not_come_true_is_code_24_and_one_line(mesh: Mesh, options: tuple[str, ...], said: str) -> None:
    agent = mesh.agent()
    assert wait(agent, "--ready") == (0, "")
    code, stderr = wait(agent, *options, "--timeout", "300ms")
    assert code == 24
    assert stderr.startswith(f"ikto: not within 0.3 s: {said}")
    assert len(stderr.splitlines()) == 1


def test_without_an_agent_the_line_says_so(mesh: Mesh) -> None:
    agent = mesh.agent(start=False)
    code, stderr = wait(agent, "--ready", "--timeout", "0s")
    assert (code, stderr) == (24, f"ikto: not within 0 s: no agent answers on {agent.socket}\n")
    assert run_ikto("status", "-s", str(agent.socket)).returncode == 1


@pytest.mark.parametrize("options", [(), ("--reachable",), ("--ready", "--timeout", "soon"), ("--peers", "-1")])
def test_a_wrong_command_line_is_code_2(options: tuple[str, ...]) -> None:
    assert run_ikto("wait", *options).returncode == 2


def test_status_tells_the_health_by_its_exit_code(lonely_mesh: Mesh) -> None:
    agent = lonely_mesh.agent(program=IMPATIENT)

    def code(*options: str) -> int:
        return run_ikto("status", "-s", str(agent.socket), *options).returncode

    eventually(lambda: agent.admin.status().state is AgentState.READY)
    eventually(lambda: code() == 0)
    lonely_mesh.server.kill()
    eventually(lambda: agent.admin.status().state is AgentState.DEGRADED)
    assert (code(), code("--json")) == (26, 26)
    assert wait(agent, "--ready", "--timeout", "0") == (0, "")  # tunnels do not need NATS
    lonely_mesh.server.start()
    eventually(lambda: code() == 0)


@pytest.mark.slow
def test_the_whole_mesh_is_waited_for_by_the_word_of_each_node(mesh: Mesh) -> None:
    here, other = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    config = ("-c", str(here.directory / "config.json"))
    latest = mesh.write("other", b"x")
    assert wait(here, "--ready", "--mesh-revision", str(latest), *config, "--timeout", "60s") == (0, "")
    code, stderr = wait(here, "--mesh-revision", str(latest + 9), *config, "--timeout", "0")
    assert code == 24
    assert f"nodes show revision {latest + 9}: " in stderr
    other.stop()
    code, stderr = wait(here, "--mesh-revision", "1", *config, "--timeout", "0")
    assert code == 24
    assert "'node-2' does not answer" in stderr
