"""The mesh is there after a reboot although NATS is not, and the bucket decides as soon as it is."""

import socket
from functools import partial
from pathlib import Path

import pytest

from ikto_backends.fake import load_device, state_file
from ikto_core.admin.views import AgentState, StatusView
from ikto_core.device.model import DeviceState
from ikto_core.disk.mesh_snapshot import SnapshotFile
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.lab.nats_server import NatsServer
from ikto_core.mesh.records import encode_record, record_key
from tests.admin.node import peer_record
from tests.agent_mesh import has_endpoints
from tests.e2e.conftest import IMPATIENT, Mesh, eventually
from tests.forked import run_ikto

pytestmark = pytest.mark.e2e


def device_file(agent: AgentProcess) -> Path:
    return state_file(agent.directory / "state", "wg0")


def device(agent: AgentProcess) -> DeviceState:
    return load_device(device_file(agent))


def kept(agent: AgentProcess) -> SnapshotFile:
    return SnapshotFile(agent.directory / "state")


def reboot(agent: AgentProcess) -> None:
    """Start the agent on a host that has lost its device, as real ones do."""
    assert not agent.running
    device_file(agent).unlink()
    agent.start()


def on_its_own(agent: AgentProcess) -> StatusView:
    """Wait until the agent shows what it kept, with NATS away."""

    def look() -> StatusView:
        status = agent.admin.status()
        assert status.state is AgentState.DEGRADED
        assert status.snapshot.in_use
        assert not status.nats.connected
        assert status.nats.failure
        return status

    return eventually(look)


def answer(agent: AgentProcess, target: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(agent.socket))
        connection.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def test_after_a_reboot_without_nats_every_peer_is_on_the_device_and_deleted_ones_go_later(lonely_mesh: Mesh) -> None:
    agent, stays, leaves = (lonely_mesh.agent(program=IMPATIENT, removal_limit=100) for _ in range(3))
    lonely_mesh.assert_formed()
    revision = agent.admin.status().revision
    agent.stop()
    before = device(agent)
    leaves.stop()
    lonely_mesh.write(record_key("fd10:3::/48"), None)
    lonely_mesh.server.kill()

    reboot(agent)
    status = on_its_own(agent)
    assert device(agent).peers.keys() == {stays.public_key, leaves.public_key}
    assert device(agent) == before
    assert (status.private_address, status.allowed_ip) == ("fd10:1::", "fd10:1::/48")
    assert status.snapshot.revision == status.revision == revision
    assert status.accepted == 2
    assert answer(agent, "/readyz").startswith("HTTP/1.1 200"), "systemd need not wait for NATS"

    lonely_mesh.server.start()
    lonely_mesh.assert_formed(agent, stays)
    assert not agent.admin.status().snapshot.in_use


def test_a_power_cut_loses_no_peer_either(lonely_mesh: Mesh) -> None:
    agent, other = lonely_mesh.agent(program=IMPATIENT), lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.assert_formed()
    eventually(lambda: (mesh := kept(agent).load()) and mesh.entries)
    agent.kill()
    lonely_mesh.server.kill()
    reboot(agent)
    on_its_own(agent)
    assert device(agent).peers.keys() == {other.public_key}


def test_a_device_that_outlived_its_agent_is_unchanged_until_the_bucket_was_read(lonely_mesh: Mesh) -> None:
    agent, other = lonely_mesh.agent(program=IMPATIENT), lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.assert_formed()
    agent.stop()
    lonely_mesh.server.kill()
    before = device_file(agent).stat().st_mtime_ns
    agent.start()
    on_its_own(agent)
    assert device_file(agent).stat().st_mtime_ns == before
    assert answer(agent, "/readyz").startswith("HTTP/1.1 200")
    lonely_mesh.server.start()
    lonely_mesh.assert_formed(agent, other)


def connected_again(agents: list[AgentProcess], sessions: int) -> bool:
    """Whether each has had so many connections."""
    return all(agent.admin.status().counters.connection.sessions >= sessions for agent in agents)


def test_no_device_changes_when_a_server_stops_and_starts(lonely_mesh: Mesh) -> None:
    agents = [lonely_mesh.agent(program=IMPATIENT) for _ in range(2)]
    lonely_mesh.assert_formed()
    for agent in agents:
        eventually(partial(has_endpoints, agent))
    before = {agent: device_file(agent).stat().st_mtime_ns for agent in agents}
    for sessions in range(2, 6):
        lonely_mesh.server.kill()
        lonely_mesh.server.start()
        eventually(partial(connected_again, agents, sessions))
        lonely_mesh.assert_formed()
    assert {agent: device_file(agent).stat().st_mtime_ns for agent in agents} == before


UNUSABLE = {
    "malformed": b"\0" * 4096,
    "checksum": b'{"version":1,"sha256":"0"}\n{}',
    "version 3 is not 1 or 2": b'{"version":3}\n{"anything":"else"}',
}


def test_an_unusable_snapshot_is_set_aside_and_the_agent_runs(lonely_mesh: Mesh) -> None:
    agent, other = lonely_mesh.agent(program=IMPATIENT), lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.assert_formed()
    agent.stop()
    lonely_mesh.server.kill()
    for why, content in UNUSABLE.items():
        kept(agent).path.write_bytes(content)
        reboot(agent)
        eventually(lambda: device_file(agent).exists() and device(agent).addresses)
        assert not device(agent).peers
        assert why in agent.log_text()
        (aside,) = kept(agent).path.parent.glob("mesh.unreadable-*")
        assert aside.read_bytes() == content
        aside.unlink()
        agent.stop()
    lonely_mesh.server.start()
    agent.start()
    lonely_mesh.assert_formed(agent, other)
    assert agent.stop() == 0
    mesh = kept(agent).load()
    assert mesh
    assert mesh.entries.keys() == {record_key("fd10:2::/48")}


def test_a_snapshot_of_another_bucket_is_ignored_and_reported(lonely_mesh: Mesh) -> None:
    agent = lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.assert_formed()
    agent.stop()
    lonely_mesh.server.kill()
    device_file(agent).unlink()
    agent.config["nats_kv"] = "elsewhere"
    agent.start()
    assert agent.wait() == 5, "nothing was ever claimed there"
    assert f"bucket is '{lonely_mesh.name}', not 'elsewhere'" in agent.log_text()
    assert not device_file(agent).exists()


def test_a_disk_that_can_not_save_the_snapshot_is_reported_and_ends_nothing(mesh: Mesh) -> None:
    agent = mesh.agent(start=False)
    (agent.directory / "state" / ".mesh.new").mkdir(parents=True)  # where a new version would be written
    agent.start()
    mesh.agent()
    mesh.assert_formed()
    assert ".mesh.new" in eventually(lambda: agent.admin.status().snapshot.failure or "")
    assert agent.admin.status().state is AgentState.READY
    assert "\nikto_snapshot_failed 1.0\n" in answer(agent, "/metrics").replace("\r", "")
    assert "snapshot not saved" in agent.log_text()
    assert agent.stop() == 0


ANYBODY = "no_auth_user: other\nauthorization { users: [ { user: other, password: x }, %s ] }"
MAY_WRITE = ANYBODY % "{ user: node, password: x }"
MAY_READ = ANYBODY % '{ user: node, password: x, permissions: { publish: { deny: ["$KV.>"] } } }'


def restart(server: NatsServer, config: str) -> None:
    server.stop()
    server.config = config
    server.start()


def test_a_node_that_may_only_read_follows_the_bucket_after_a_reboot(lonely_mesh: Mesh) -> None:
    agent = lonely_mesh.agent(start=False, program=IMPATIENT, nats_user="node", nats_password="x")
    other = lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.assert_formed(other)
    restart(lonely_mesh.server, MAY_WRITE)
    agent.start()
    lonely_mesh.assert_formed()
    agent.stop()
    restart(lonely_mesh.server, MAY_READ)

    reboot(agent)
    third = lonely_mesh.agent(program=IMPATIENT)
    lonely_mesh.assert_formed(agent, other, third)
    eventually(lambda: "denied" in (failure := agent.admin.status().nats.failure or "") and "$KV." in failure)
    lonely_mesh.write(record_key("fd10:3::/48"), None)  # who is alive claims it again
    lonely_mesh.assert_formed(agent, other, third)

    restart(lonely_mesh.server, MAY_WRITE)
    eventually(lambda: (nats := agent.admin.status().nats).connected and not nats.failure)
    lonely_mesh.assert_formed(agent, other, third)


def come_and_go(mesh: Mesh, agent: AgentProcess) -> None:
    """Have thirty nodes join, and leave again at once."""
    records = [peer_record(number) for number in range(2, 32)]
    for record in records:
        mesh.write(record.key, encode_record(record))
    eventually(lambda: len(device(agent).peers) == 30)
    for record in records:
        mesh.write(record.key, None)


def test_with_a_limit_of_100_percent_no_removal_is_pending(mesh: Mesh) -> None:
    agent = mesh.agent(removal_limit=100)
    come_and_go(mesh, agent)
    eventually(lambda: agent.admin.status().accepted == 0 and not device(agent).peers)
    assert "removals pending" not in agent.log_text()


def test_pending_removals_are_an_alarm_until_they_are_applied(mesh: Mesh) -> None:
    agent = mesh.agent()
    come_and_go(mesh, agent)
    held = eventually(lambda: (status := agent.admin.status()).accepted == 0 and len(status.pending_removals))
    assert len(device(agent).peers) == held > 15
    assert f"\nikto_pending_removals {float(held)}\n" in answer(agent, "/metrics").replace("\r", "")
    assert "removals pending" in agent.log_text()
    done = run_ikto("peers", "release", "-s", str(agent.socket))
    assert (done.returncode, done.stdout) == (0, f"{held} pending removals and key changes applied\n")
    eventually(lambda: not device(agent).peers)
    assert agent.admin.status().pending_removals == ()
