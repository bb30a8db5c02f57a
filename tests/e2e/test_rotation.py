"""`ikto key rotate` gives a running agent another key; a killed agent continues at its next start."""

import shutil
import sys
from signal import SIGKILL
from subprocess import CompletedProcess

import pytest

from ikto_backends.fake import load_device, state_file
from ikto_core.device.model import DeviceState
from ikto_core.disk.key_file import load_private_key, next_key_file
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import PeerRecord, decode_record, record_key
from ikto_core.values.keys import PublicKey
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.e2e.dying_rotation import STEPS
from tests.forked import run_ikto

pytestmark = pytest.mark.e2e


def rotate(agent: AgentProcess, *options: str) -> "CompletedProcess[str]":
    return run_ikto("key", "rotate", "-s", str(agent.socket), *options)


def key_in(agent: AgentProcess) -> PublicKey:
    """Return the public key of an agent's key file."""
    return load_private_key(agent.directory / "key").public()


def record(mesh: Mesh, subnet: str) -> PeerRecord:
    value = mesh.read(subnet)
    assert value
    return decode_record(record_key(subnet), value)


def device_of(agent: AgentProcess) -> DeviceState:
    return load_device(state_file(agent.directory / "state", "wg0"))


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
    assert device_of(agent).private_key == agent.private_key
    seen = device_of(peer).peers
    assert [str(prefix) for prefix in seen[after].allowed_ips] == [str(status.allowed_ip)]
    assert not next_key_file(agent.directory / "key").exists()
    eventually(lambda: record(mesh, str(status.allowed_ip)).next_public_key is None)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_an_agent_killed_during_a_rotation_continues_it_at_its_next_start(mesh: Mesh, step: str) -> None:
    agent, peer = mesh.agent(program=("tests.e2e.dying_rotation", step)), mesh.agent(program=IMPATIENT)
    status, _ = mesh.assert_formed()
    before, subnet = key_in(agent), str(status.allowed_ip)
    rotate(agent, "--no-wait")
    assert agent.wait() == -SIGKILL
    agent._command = (sys.executable, "-m", *IMPATIENT)
    agent.start()
    key_file = agent.directory / "key"
    eventually(lambda: not next_key_file(key_file).exists() and agent.admin.status().rotation is None)
    agent.private_key = load_private_key(key_file)
    assert (agent.public_key == before) is (step == "before:ensure_next_key"), "what was begun is finished"
    status, _ = mesh.assert_formed()
    assert (status.public_key, status.allowed_ip) == (str(agent.public_key), subnet)
    found = record(mesh, subnet)
    assert (found.public_key, found.next_public_key) == (agent.public_key, None)
    assert device_of(agent).private_key == agent.private_key
    assert [str(prefix) for prefix in device_of(peer).peers[agent.public_key].allowed_ips] == [subnet]


@pytest.mark.slow
@pytest.mark.parametrize("meanwhile", ["it runs on", "it is killed"])
def test_a_backup_from_before_two_rotations_takes_neither_address_nor_key(lonely_mesh: Mesh, meanwhile: str) -> None:
    mesh, server = lonely_mesh, lonely_mesh.server
    agent, peer = (mesh.agent(program=IMPATIENT) for _ in range(2))
    status, _ = mesh.assert_formed()
    subnet, first = str(status.allowed_ip), key_in(agent)
    server.stop()
    backup = shutil.copytree(server.directory, server.directory.with_name("backup"))
    server.start()
    for _ in range(2):
        eventually(lambda: rotate(agent).returncode == 0)
        agent.private_key = load_private_key(agent.directory / "key")
        mesh.assert_formed()
    if meanwhile != "it runs on":
        agent.kill()
    server.kill()
    shutil.rmtree(server.directory)
    shutil.copytree(backup, server.directory)
    server.start()
    if meanwhile != "it runs on":
        eventually(lambda: first in device_of(peer).peers)  # so the peers of who is not there believe the backup
        agent.start()
    status, _ = mesh.assert_formed()
    assert (status.public_key, status.allowed_ip) == (str(agent.public_key), subnet)
    eventually(lambda: record(mesh, subnet).public_key == agent.public_key)
    mesh.assert_formed()
    assert agent.public_key == key_in(agent) != first
    seen = device_of(peer).peers
    assert seen.keys() == {agent.public_key}
    assert [str(prefix) for prefix in seen[agent.public_key].allowed_ips] == [subnet]


def test_without_an_agent_there_is_nothing_to_rotate(mesh: Mesh) -> None:
    agent = mesh.agent(start=False)
    done = rotate(agent)
    assert done.returncode == 1
    assert done.stderr.count("\n") <= 2
    assert "no agent answers" in done.stderr


def test_a_key_file_that_can_not_be_written_is_reported_and_the_key_stays(mesh: Mesh) -> None:
    agent = mesh.agent(program=IMPATIENT)
    mesh.assert_formed()
    before = key_in(agent)
    (agent.directory / ".key.next.new").mkdir()  # in the way of the file, for root too
    done = rotate(agent)
    assert done.returncode == 1
    assert "can't be written" in done.stderr
    assert "must be allowed to write into" in done.stderr
    assert key_in(agent) == before
    assert agent.admin.status().rotation is None
