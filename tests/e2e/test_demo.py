"""The demo forms a mesh, says so truthfully, and leaves nothing behind."""

import os
import re
import subprocess
import sys
from pathlib import Path
from signal import SIGTERM

import pytest

from tests.e2e.conftest import Mesh, eventually

pytestmark = pytest.mark.e2e
DEMO = [sys.executable, "-m", "ikto_core", "demo"]


def processes_in(directory: Path) -> list[str]:
    """Return the command lines of all processes that name this directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it ended meanwhile
            continue
        if str(directory) in command:
            found.append(command)
    return found


def test_the_demo_converges_and_leaves_nothing_behind(tmp_path: Path) -> None:
    environ = os.environ | {"TMPDIR": str(tmp_path), "COLUMNS": "80"}
    done = subprocess.run([*DEMO, "--nodes", "4"], capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "4 nodes converged" in done.stdout
    assert done.stdout.count("3 of 3") == 4
    assert len(re.findall(r"fd10:[0-9a-f:]+::1 .* fd10:[0-9a-f:]+::/48 ", done.stdout)) == 4, "nothing is cut off"
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_a_demo_that_does_not_converge_fails_and_says_who_lags(tmp_path: Path) -> None:
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    slow = [*DEMO, "--nodes", "40", "--timeout", "1"]
    done = subprocess.run(slow, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert done.returncode == 1
    assert "did not converge in time (node-1: " in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


def test_the_demo_stays_in_its_own_mesh_whatever_the_environment_says(mesh: Mesh) -> None:
    environ = os.environ | {"IKTO_NATS_URL": mesh.server.url, "IKTO_NATS_KV": mesh.name}
    done = subprocess.run(DEMO, capture_output=True, text=True, env=environ, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert mesh.on_bucket(lambda bucket: bucket.info()).subjects == 1, "no record came to the mesh's own settings"


def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    """At whatever moment: here, while its agents are being started."""
    environ = os.environ | {"TMPDIR": str(tmp_path)}
    demo = subprocess.Popen([*DEMO, "--nodes", "20"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environ)
    try:
        eventually(lambda: any("agent" in command for command in processes_in(tmp_path)))
        demo.send_signal(SIGTERM)
        assert demo.wait(30) == 130
    finally:
        demo.kill()
        demo.wait()
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []
