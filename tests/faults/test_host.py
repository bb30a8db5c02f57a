"""An agent's own host does it harm: its disk, its clock, its death."""

import os
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ikto_core.lab.agent_process import AgentProcess
from tests.agent_mesh import eventually
from tests.faults.conftest import Stopwatch
from tests.faults.harness import FaultMesh, device, shown, subnet

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
DAY_S = 86_400


@pytest.fixture
def small_disk(stack: ExitStack) -> Callable[[AgentProcess], Path]:
    """Gives an agent a state directory on a disk of its own, of 256 KB."""

    def mount(agent: AgentProcess) -> Path:
        state = agent.directory / "state"
        state.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(state)], check=True)
        stack.callback(subprocess.run, ["umount", "--lazy", str(state)], check=True)
        return state

    return mount


def fill(directory: Path) -> Path:
    """Fill the disk that the directory is on; return the file that does it."""
    file = directory / "filler"
    with file.open("wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 512):
                pass
        except OSError:
            return file
    raise AssertionError("the disk has no end")


@needs_root
@pytest.mark.fault("the state directory's disk is full while the agent runs and restarts")
def test_disk_full(mesh: FaultMesh, small_disk: Callable[[AgentProcess], Path], converging: Stopwatch) -> None:
    """The agent reports it and keeps its address in the mesh; with space again its state is saved as before."""
    agent = mesh.agent(start=False, private_address="auto")
    disk = small_disk(agent)
    agent.start()
    mesh.formed(2)
    address, kept = subnet(agent), (disk / "state.json").read_bytes()
    filler = fill(disk)
    mesh.add_stranger()
    eventually(lambda: "No space left" in (agent.admin.status().device_failure or ""))
    assert agent.kill() < 0
    agent.start()
    eventually(lambda: agent.admin.status().nats.connected)
    assert agent.admin.status().allowed_ip == str(address)
    assert (disk / "state.json").read_bytes() == kept, "the old state or the new, never half of one"
    filler.unlink()
    with converging.running():
        mesh.assert_follows()
    assert subnet(agent) == address
    mesh.assert_nobody_removed()


@needs_root
@pytest.mark.fault("the state directory's disk is full at the very first start")
def test_disk_full_from_the_start(
    mesh: FaultMesh, small_disk: Callable[[AgentProcess], Path], converging: Stopwatch
) -> None:
    """The subnet is claimed although the claim can't be saved, and the next start finds it in the bucket."""
    agent = mesh.agent(start=False, program=("tests.faults.unsaved_device",), private_address="auto")
    filler = fill(small_disk(agent))
    agent.start()
    eventually(lambda: "state not saved" in agent.log_text())
    claimed = eventually(lambda: agent.admin.status().allowed_ip)
    agent.kill()
    filler.unlink()
    with converging.running():
        agent.start()
        mesh.formed(2)
    assert str(subnet(agent)) == claimed


@pytest.mark.fault("the wall clock jumps {days:+} days")
@pytest.mark.parametrize("days", [-400, 400])
def test_clock_jumps(mesh: FaultMesh, directory: Path, converging: Stopwatch, days: int) -> None:
    """No tunnel is changed, and the agent follows as before."""
    offset = directory / "offset"
    offset.write_text("0")
    agent = mesh.agent(program=("tests.faults.shifted_clock", str(offset)))
    mesh.formed(2)
    before = agent.admin.status().counters.reconcile.peers_written
    offset.write_text(str(days * DAY_S))
    agent.admin.resync()
    with converging.running():
        mesh.assert_follows()
    assert agent.admin.status().counters.reconcile.peers_written == before + 1, "the stranger, and nobody else"
    mesh.assert_nobody_removed()
    agent.kill()
    agent.start()
    mesh.assert_follows()


@pytest.mark.fault("all agents are killed at once, and started again (a power failure)")
def test_all_killed(mesh: FaultMesh, converging: Stopwatch) -> None:
    """Each has its old address, and only changes are written to devices."""
    agents = mesh.formed(4, private_address="auto")
    addresses = [subnet(agent) for agent in agents]
    before = [shown(agent) for agent in agents]
    for agent in agents:
        agent.kill()
    assert [shown(agent) for agent in agents] == before
    with converging.running():
        for agent in agents:
            agent.start()
        mesh.assert_whole()
    assert [subnet(agent) for agent in agents] == addresses
    for agent in agents:
        counters = agent.admin.status().counters.reconcile
        assert (counters.peers_written, counters.peers_removed) == (0, 0)


@pytest.mark.fault("an agent is stopped, and its device is changed meanwhile")
def test_device_changed_while_down(mesh: FaultMesh, converging: Stopwatch) -> None:
    """At its start the agent repairs the changes, and writes nothing else."""
    agent = mesh.formed(3)[0]
    agent.kill()
    path = agent.directory / "state" / "fake-wg0.json"
    other = mesh.agents[1].public_key.text
    path.write_text(path.read_text().replace("fd10:2::/48", "fd10:666::/48"))
    assert device(agent).peers, other
    with converging.running():
        agent.start()
        mesh.assert_whole()
    assert agent.admin.status().counters.reconcile.peers_written == 1
