"""`ikto bugreport` on a real mesh: what the agent, the bucket and the device have, and not how the node logs in."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.e2e.conftest import Mesh
from tests.forked import run_ikto

pytestmark = pytest.mark.e2e


def test_it_has_the_agent_the_bucket_and_the_device(mesh: Mesh, tmp_path: Path) -> None:
    agent, other = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    config, path = agent.directory / "config.json", tmp_path / "report.tar.gz"
    done = run_ikto("bugreport", "-c", str(config), "-s", str(agent.socket), "-o", str(path))
    assert done.returncode == 0, done.stderr
    with tarfile.open(path) as archive:
        found = {m.name: file.read().decode() for m in archive.getmembers() if (file := archive.extractfile(m))}
    parts = {name.removeprefix("ikto-bugreport/"): text for name, text in found.items()}
    assert json.loads(parts["status.json"])["state"] == "ready"
    assert [peer["name"] for peer in json.loads(parts["peers.json"])["peers"]] == [other.name]
    assert json.loads(parts["events.jsonl"].splitlines()[0])["event"] == "known"
    assert "ikto_ready 1.0" in parts["metrics.txt"]
    bucket = json.loads(parts["bucket.json"])
    assert bucket["bucket"] == mesh.name
    assert len([key for key in bucket["records"] if key.startswith("peers.")]) == 2
    assert other.public_key.text in parts["bucket.json"]
    assert '"claim"' in parts["state.txt"]
    assert agent.private_key.text not in "".join(parts.values())
    assert other.public_key.text in parts["device.json"]
