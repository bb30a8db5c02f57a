"""`ikto key rotate` gives a running agent another key, and whoever is killed on the way goes on at the next start."""

import subprocess
import sys

import pytest

from ikto_backends.fake import load_device, state_file
from ikto_core.keyfile import load_private_key, next_key_file
from ikto_core.keys import PublicKey
from ikto_core.records import PeerRecord, decode_record, record_key
from ikto_core.testing.agent_process import AgentProcess
from tests.e2e.conftest import IMPATIENT, Mesh, eventually

pytestmark = pytest.mark.e2e


def rotate(agent: AgentProcess, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "ikto_core", "key", "rotate", "-s", str(agent.socket), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def key_in(agent: AgentProcess) -> PublicKey:
    """Return the public key of an agent's key file."""
    return load_private_key(agent.directory / "key").public()


def record(mesh: Mesh, subnet: str) -> PeerRecord:
    value = mesh.read(subnet)
    assert value
    return decode_record(record_key(subnet), value)


def test_a_running_agent_gets_another_key_and_its_peers_have_it(mesh: Mesh) -> None:
    agent, peer = (mesh.agent(program=IMPATIENT) for _ in range(2))
    mesh.assert_formed()
    before, address = key_in(agent), agent.admin.status().private_address
    done = rotate(agent)
    assert (done.returncode, done.stderr) == (0, "")
    after = key_in(agent)
    assert after != before
    assert done.stdout.splitlines()[0] == f"next public key: {after}"
    assert done.stdout.splitlines()[-1] == "in use"
    agent.private_key = load_private_key(agent.directory / "key")
    status, _ = mesh.assert_formed()
    assert (status.public_key, status.private_address, status.rotation) == (str(after), address, None)
    assert load_device(state_file(agent.directory / "state", "wg0")).private_key == agent.private_key
    seen = load_device(state_file(peer.directory / "state", "wg0")).peers
    assert [str(prefix) for prefix in seen[after].allowed_ips] == [str(status.allowed_ip)]
    assert not next_key_file(agent.directory / "key").exists()
    eventually(lambda: record(mesh, str(status.allowed_ip)).next_public_key is None)
