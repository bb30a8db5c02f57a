"""Whatever is wrong when an agent starts: one clear line, the exit code of its class, and nothing half-done."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from ikto_backends.fake import load_device, state_file
from ikto_backends.fake.storage import save_device
from ikto_core.admin.views import AgentState
from ikto_core.device.model import DeviceState
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_server import running_server
from ikto_core.mesh.settings import MESH_KEY
from ikto_core.values.keys import PrivateKey
from tests.e2e.conftest import Mesh, eventually
from tests.forked import run_ikto

pytestmark = pytest.mark.e2e

USERS = """
authorization { users: [
  { user: node, password: secret, permissions: {
      publish: ["$JS.API.STREAM.INFO.KV_b"], subscribe: ["_INBOX_node.>", "ikto.b.>"] } }
  { user: admin, password: secret }
] }
"""


def refusal(agent: AgentProcess) -> tuple[int, str]:
    """Return the exit code of an agent that can't start, and the one line that it says."""
    code = agent.wait()
    said = [line for line in agent.log_text().splitlines() if line.startswith("ikto: ")]
    assert len(said) == 1, agent.log_text()
    assert "Traceback" not in agent.log_text()
    return code, said[0]


def test_an_unreachable_nats_server_is_refused(mesh: Mesh) -> None:
    code, said = refusal(mesh.agent(nats_url="nats://127.0.0.1:1"))
    assert code == 5
    assert "nats://127.0.0.1:1 can't be reached" in said


def test_a_nats_server_inside_the_mesh_is_a_warning_and_named_as_the_reason_when_it_is_cut_off(mesh: Mesh) -> None:
    inside: dict[str, Any] = {"mesh_cidr": "127.0.0.0/8", "subnet_prefix": 24, "nats_kv": "inside"}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in inside.items()]
    run_ikto("bucket", "create", f"--nats-url={mesh.server.url}", *options).check_returncode()
    agent = mesh.agent(**inside, private_address="127.9.0.1", advertise_address="192.0.2.1")
    eventually(lambda: agent.admin.status().state is AgentState.READY)
    (line,) = [line for line in agent.log_text().splitlines() if "NATS is inside the mesh" in line]
    assert f"{mesh.server.url} is inside mesh_cidr 127.0.0.0/8" in line
    assert "give nats_url an address outside the mesh" in line
    code, said = refusal(mesh.agent(**inside, nats_url="nats://127.0.0.1:1", private_address="127.8.0.1"))
    assert code == 5
    assert "; 127.0.0.1 is inside mesh_cidr 127.0.0.0/8, so packets to it go there" in said


def test_a_missing_bucket_is_refused(mesh: Mesh) -> None:
    code, said = refusal(mesh.agent(nats_kv="nowhere"))
    assert code == 5
    assert "no bucket 'nowhere'" in said
    assert "ikto bucket create" in said


def test_a_wrong_password_and_a_missing_permission(mesh: Mesh, tmp_path: Path) -> None:
    with running_server(tmp_path / "nats", USERS) as server:
        members: dict[str, Any] = {"nats_url": server.url, "nats_user": "node", "name": "node", "nats_kv": "b"}
        admin = ["--nats-url", server.url, "--nats-user", "admin", "--nats-password", "secret", "--nats-kv", "b"]
        run_ikto("bucket", "create", *admin).check_returncode()
        code, said = refusal(mesh.agent(**members, nats_password="wrong"))
        assert code == 5
        assert "refused the login" in said
        assert "secret" not in said
        code, said = refusal(mesh.agent(**members, nats_password="secret"))
        assert code == 5
        assert "NATS denied this user the" in said
        assert "$JS.API." in said, "it names the subject"


@pytest.mark.parametrize(("allowed", "denied"), [("ikto.b.>", "_INBOX_node."), ("_INBOX_node.>", "ikto.b.>")])
def test_a_subscription_that_is_denied_is_named(mesh: Mesh, tmp_path: Path, allowed: str, denied: str) -> None:
    user = f'{{ user: node, password: x, permissions: {{ publish: ">", subscribe: ["{allowed}"] }} }}'
    admin = "{ user: admin, password: x }"
    with running_server(tmp_path / "nats", f"authorization {{ users: [ {user}, {admin} ] }}") as server:
        login = ["--nats-url", server.url, "--nats-user", "admin", "--nats-password", "x", "--nats-kv", "b"]
        run_ikto("bucket", "create", *login).check_returncode()
        members: dict[str, Any] = {"nats_url": server.url, "nats_user": "node", "nats_password": "x", "nats_kv": "b"}
        code, said = refusal(mesh.agent(**members, name="node"))
    assert code == 5
    assert f'subscription to "{denied}' in said


def test_a_different_mesh_is_refused(mesh: Mesh) -> None:
    code, said = refusal(mesh.agent(subnet_prefix=56))
    assert code == 3
    assert "subnet_prefix is 48, not 56" in said
    assert mesh.read("fd10:1::/56") is None


def test_an_unreadable_mesh_setting_stops_no_agent(mesh: Mesh) -> None:
    mesh.write(MESH_KEY, b"{broken")
    mesh.agent()
    mesh.assert_formed()


def test_an_unknown_backend_is_refused(mesh: Mesh) -> None:
    code, said = refusal(mesh.agent(backend="nowhere"))
    assert code == 7
    assert "'nowhere'" in said
    assert "fake" in said, "it names what is there"


def test_a_broken_configuration_names_every_member(mesh: Mesh) -> None:
    agent = mesh.agent(wg_port=0, mtu=5, nats_ulr="x")
    assert agent.wait() == 3
    said = agent.log_text()
    for member in ("wg_port", "mtu", "nats_ulr"):
        assert any(member in line for line in said.splitlines())


def test_a_missing_key(mesh: Mesh) -> None:
    agent = mesh.agent(start=False)
    (agent.directory / "key").unlink()
    agent.start()
    code, said = refusal(agent)
    assert code == 3
    assert "ikto key generate" in said


def test_a_socket_that_a_live_agent_has(mesh: Mesh) -> None:
    first = mesh.agent()
    mesh.assert_formed()
    second = mesh.agent(start=False)
    second.socket = first.socket
    second.start()
    code, said = refusal(second)
    assert code == 1
    assert "in use" in said
    assert mesh.read("fd10:2::/48") is None, "it claimed nothing"
    mesh.assert_formed(first)


def test_a_state_directory_that_a_live_agent_has(mesh: Mesh) -> None:
    first = mesh.agent()
    mesh.assert_formed()
    second = mesh.agent(start=False)
    second.config["state_dir"] = first.config["state_dir"]
    second.start()
    code, said = refusal(second)
    assert code == 1
    assert f"state_dir: {first.config['state_dir']}: in use by another agent, process {first.pid} (" in said
    assert mesh.read("fd10:2::/48") is None, "it claimed nothing"
    mesh.assert_formed(first)
    first.kill()
    second.start()
    assert eventually(lambda: second.admin.status().state is AgentState.READY)


def test_a_socket_that_a_killed_agent_left(mesh: Mesh) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    agent.kill()
    assert agent.socket.exists()
    agent.start()
    mesh.assert_formed()


def test_a_file_that_is_no_socket_is_left_unchanged(mesh: Mesh) -> None:
    agent = mesh.agent(start=False)
    agent.socket.write_text("precious")
    agent.start()
    code, said = refusal(agent)
    assert code == 1
    assert "not a socket" in said
    assert agent.socket.read_text() == "precious"


def test_a_socket_in_a_missing_directory_is_refused(mesh: Mesh) -> None:
    agent = mesh.agent(start=False)
    agent.socket = agent.directory / "nowhere" / "s"
    agent.start()
    code, said = refusal(agent)
    assert code == 1
    assert "nowhere" in said


def test_two_agents_with_one_address_at_one_moment(mesh: Mesh) -> None:
    """The first writer has it; the other names it, and has written nothing."""
    racers = [mesh.agent(start=False, private_address="fd10:7::") for _ in range(4)]
    for racer in racers:
        racer.start()
    eventually(lambda: sum(racer.running for racer in racers) == 1)
    losers = [racer for racer in racers if not racer.running]
    assert [loser.wait() for loser in losers] == [4, 4, 4]
    (winner,) = (racer for racer in racers if racer not in losers)
    mesh.assert_formed(winner)
    assert json.loads(mesh.read("fd10:7::/48") or b"")["public_key"] == winner.public_key.text


def test_the_socket_is_for_the_owner_alone_and_speaks_http(mesh: Mesh) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    assert agent.socket.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(agent.socket))
        connection.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_device_with_another_private_key_is_refused_unless_it_is_to_be_adopted(mesh: Mesh) -> None:
    theirs = DeviceState(private_key=PrivateKey.generate().clamped(), listen_port=7)
    agent = mesh.agent(start=False)
    state_dir = Path(agent.config["state_dir"])
    save_device(state_dir, "wg0", theirs)
    agent.start()
    code, said = refusal(agent)
    assert code == 6
    assert "wg0: the device has a private key that is none of this node's" in said
    assert "adopt_device" in said
    assert load_device(state_file(state_dir, "wg0")) == theirs
    assert mesh.read("fd10:1::/48") is None, "it claimed nothing"
    agent.config["adopt_device"] = True
    agent.start()
    mesh.assert_formed()
    assert load_device(state_file(state_dir, "wg0")).private_key == agent.private_key.clamped()


def test_a_device_that_another_takes_while_the_agent_is_down_is_refused_with_a_claim_too(mesh: Mesh) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    agent.stop()
    theirs = DeviceState(private_key=PrivateKey.generate().clamped(), listen_port=7)
    save_device(Path(agent.config["state_dir"]), "wg0", theirs)
    agent.start()
    code, said = refusal(agent)
    assert (code, "wg0: the device has a private key" in said) == (6, True)
    assert mesh.read("fd10:1::/48") is not None, "the record stays"
