"""The demo forms a mesh, says so truthfully, and leaves nothing behind: on the fake backend, as anybody can run it."""

import os
import re
import subprocess
from pathlib import Path
from signal import SIGCONT, SIGSTOP, SIGTERM

import pytest

from tests.e2e.conftest import Mesh, eventually
from tests.e2e.demo import running_demo

pytestmark = pytest.mark.e2e


def test_the_demo_converges_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--backend fake --nodes 4") as demo:
        assert demo.ends() == 0
    assert "No tunnels: backend fake" in demo.said
    assert "4 nodes converged" in demo.said
    assert demo.said.count("3 of 3") == 4
    assert len(re.findall(r"fd10:[0-9a-f:]+::1 .* fd10:[0-9a-f:]+::/48 ", demo.said)) == 4, "nothing is cut off"
    assert "Round trips" not in demo.said, "no packets flow"
    assert demo.left_behind() == []


@pytest.mark.slow
def test_a_demo_that_does_not_converge_fails_and_names_the_slow_node(tmp_path: Path) -> None:
    """Whatever the reason: here an agent is stopped as it starts, and goes on once the demo has given up."""

    def agents() -> list[int]:
        return [pid for pid, command in demo.found() if " agent " in command]

    with running_demo(tmp_path, "--backend fake --nodes 2 --timeout 2") as demo:
        stopped = eventually(lambda: found if len(found := agents()) == 2 else [])[0]
        os.kill(stopped, SIGSTOP)
        eventually(lambda: agents() == [stopped])
        os.kill(stopped, SIGCONT)
        assert demo.ends() == 1
    assert "did not converge in time (node-1: " in demo.said
    assert demo.left_behind() == []


@pytest.mark.slow
def test_the_demo_stays_in_its_own_mesh_whatever_the_environment_says(mesh: Mesh, tmp_path: Path) -> None:
    environ = {"IKTO_NATS_URL": mesh.server.url, "IKTO_NATS_KV": mesh.name}
    with running_demo(tmp_path, "--backend fake --nodes 2", environ=environ) as demo:
        assert demo.ends() == 0
    assert mesh.on_bucket(lambda bucket: bucket.info()).subjects == 1, "no record came to the mesh's own settings"


def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    """At whatever moment: here, while its agents are being started."""
    with running_demo(tmp_path, "--backend fake --nodes 5") as demo:
        eventually(lambda: any("agent" in command for command in demo.processes()))
        demo.process.send_signal(SIGTERM)
        assert demo.ends() == 130
    assert demo.left_behind() == []


@pytest.mark.slow
def test_a_kept_demo_runs_until_it_is_stopped(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--backend fake --nodes 2 --keep") as demo:
        commands = demo.commands()
        assert [word for command in commands for word in (" status ", " info ") if word in command] == [
            " status ",
            " info ",
        ]
        demo.try_all(commands)
        demo.process.send_signal(SIGTERM)
        assert demo.ends() == 0
    assert demo.left_behind() == []


@pytest.mark.slow
def test_the_processes_of_a_killed_demo_end_and_the_next_demo_removes_the_rest(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--backend fake --nodes 2 --keep") as killed:
        killed.commands()
        killed.process.kill()
        assert killed.ends() == -9
    eventually(lambda: killed.processes() == [])
    (left,) = tmp_path.iterdir()
    stranger = tmp_path / f"ikto-demo-{os.getpid()}-of-a-living-process"
    stranger.mkdir()
    with running_demo(tmp_path, "--backend fake --nodes 2") as demo:
        assert demo.ends() == 0
    assert f"Removed leftovers of a killed demo: {left}" in demo.said
    assert list(tmp_path.iterdir()) == [stranger]


WITHOUT_RIGHTS = [
    ("unshare --user", "network namespaces need root"),
    ("setpriv --bounding-set=-sys_admin,-net_admin --inh-caps=-all", "network namespaces can't be created"),
]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up root's rights")
@pytest.mark.parametrize(("without", "why"), WITHOUT_RIGHTS, ids=["not root", "root in a container"])
def test_without_rights_the_demo_says_so_and_uses_the_fake_backend_or_refuses_what_is_asked_for(
    without: str, why: str, tmp_path: Path
) -> None:
    within = without.split()
    if subprocess.run([*within, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"not allowed here: {without}")
    with running_demo(tmp_path, "--nodes 2", within=within) as demo:
        assert demo.ends() == 0
    assert demo.said.startswith("No tunnels: backend fake")
    assert why in demo.said or "not installed: " in demo.said
    with running_demo(tmp_path, "--backend wgtool", within=within) as demo:
        assert demo.ends() == 1
    assert "ikto: backend wgtool is unusable here: " in demo.said
    assert demo.left_behind() == []


def test_a_backend_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--backend nowhere") as demo:
        assert demo.ends() == 2
    assert demo.left_behind() == []
