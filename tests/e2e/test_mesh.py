"""Agents as processes form a mesh, keep it, and never share an address."""

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ikto_backends.fake import load_device, state_file
from ikto_core.lab.agent_process import AgentProcess
from ikto_core.mesh.records import MAX_RECORD_BYTES, PeerRecord, decode_record, encode_record, record_key
from ikto_core.values.keys import PrivateKey
from tests.agent_mesh import has_endpoints
from tests.e2e.conftest import Mesh, eventually
from tests.go_node import following_as_0_3_0

pytestmark = pytest.mark.e2e


def record_of(agent: AgentProcess, allowed_ip: str, **changes: object) -> PeerRecord:
    record = PeerRecord(
        name=agent.name,
        public_key=agent.public_key,
        advertise_address="192.0.2.99",
        allowed_ip=allowed_ip,
        wg_port=51820,
    )
    return msgspec.structs.replace(record, **changes)


def writes_of(agent: AgentProcess) -> int:
    counters = agent.admin.status().counters.reconcile
    return counters.peers_written + counters.peers_removed


def test_five_agents_join_restart_conflict_and_leave(mesh: Mesh) -> None:
    """The life of a mesh, from the first node to one that leaves."""
    first, second, third = (mesh.agent(removal_limit=100) for _ in range(3))
    mesh.assert_formed()
    fourth, fifth = (mesh.agent(private_address="auto", removal_limit=100) for _ in range(2))
    mesh.assert_formed()

    intruder = mesh.agent(private_address="fd10:1::7")
    assert intruder.wait() == 4
    assert "fd10:1::/48 is in use by 'node-1'" in intruder.log_text()
    assert decode_record(record_key("fd10:1::/48"), mesh.read("fd10:1::/48") or b"").public_key == first.public_key
    mesh.agents.remove(intruder)
    mesh.assert_formed()

    others = (first, third, fourth, fifth)
    for agent in others:
        eventually(partial(has_endpoints, agent))
    before = {agent: writes_of(agent) for agent in others}
    assert second.stop() == 0
    second.start()
    mesh.assert_formed()
    assert {agent: writes_of(agent) for agent in before} == before, "a restart is no change to anybody's device"

    subnet = fourth.admin.status().allowed_ip
    assert subnet
    fourth.stop()
    mesh.write(record_key(subnet), None)
    mesh.assert_formed(first, second, third, fifth)


def test_a_stopped_agent_leaves_device_and_record_as_they_are(mesh: Mesh) -> None:
    """A machine that shuts down talks to the last; a restart is not felt."""
    agent, other = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    for each in (agent, other):  # whichever is to speak last writes the endpoint of the other a second later
        eventually(partial(has_endpoints, each))
    device = load_device(state_file(agent.directory / "state", "wg0"))
    record, written = mesh.read("fd10:1::/48"), writes_of(other)
    assert device.peers.keys() == {other.public_key}
    assert agent.stop() == 0
    mesh.write("peers.AAAA", b"later")
    eventually(lambda: other.admin.status().quarantined)  # it had the time to hear of what else was written
    assert load_device(state_file(agent.directory / "state", "wg0")) == device
    assert (mesh.read("fd10:1::/48"), writes_of(other)) == (record, written)


def test_the_claimed_address_is_reused_at_every_start(mesh: Mesh) -> None:
    agent = mesh.agent(private_address="auto")
    address = mesh.assert_formed()[0].private_address
    agent.kill()
    agent.start()
    assert mesh.assert_formed()[0].private_address == address


def test_a_new_peer_is_one_write_and_no_second_look(mesh: Mesh) -> None:
    lowest, *others = sorted((PrivateKey.generate() for _ in range(3)), key=PrivateKey.public)
    agent = mesh.agent(key=lowest)  # it speaks first to new peers: whether they did is no reason to look
    mesh.agent(key=others[0])
    before = mesh.assert_formed()[0].counters.reconcile
    mesh.agent(key=others[1])
    after = mesh.assert_formed()[0].counters.reconcile
    assert after.peers_written == before.peers_written + 1
    assert after.full_passes == before.full_passes
    assert agent.running


def test_a_deleted_record_is_claimed_again_by_its_agent(mesh: Mesh) -> None:
    mesh.agent()
    mesh.agent()
    mesh.assert_formed()
    mesh.write(record_key("fd10:1::/48"), None)
    eventually(lambda: mesh.read("fd10:1::/48"))
    mesh.assert_formed()


def away_for_long(agent: AgentProcess) -> None:
    """Stop an agent, and have it forget when it last saw its record."""
    agent.stop()
    (agent.directory / "state" / "mesh").unlink()


def test_a_node_that_was_away_for_long_releases_its_address_if_another_has_it(mesh: Mesh) -> None:
    loser = mesh.agent()
    mesh.assert_formed()
    away_for_long(loser)
    stranger = mesh.agent(start=False)
    mesh.write(record_key("fd10:1::/48"), encode_record(record_of(stranger, "fd10:1::/48")))
    loser.start()
    assert loser.wait() == 4
    assert "fd10:1::/48 is in use by 'node-2'" in loser.log_text()
    assert not (loser.directory / "state" / "fake-wg0.json").exists(), "the device is gone"


def test_a_node_that_lost_an_automatic_address_claims_another(mesh: Mesh) -> None:
    agent, other = mesh.agent(private_address="auto"), mesh.agent(removal_limit=100)
    lost = mesh.assert_formed()[0].allowed_ip
    assert lost
    away_for_long(agent)
    stranger = mesh.agent(start=False)
    mesh.agents.remove(stranger)
    mesh.write(record_key(lost), encode_record(record_of(stranger, lost)))
    agent.start()

    def moved() -> bool:
        status = agent.admin.status()
        assert status.device
        assert status.allowed_ip not in (None, lost)
        assert all(not address.startswith(lost.split("::")[0]) for address in status.device.addresses)
        return {peer.public_key for peer in status.device.peers} == {str(other.public_key), str(stranger.public_key)}

    eventually(moved)


def test_a_copy_of_a_machine_takes_over_and_the_older_one_stops(mesh: Mesh) -> None:
    original = mesh.agent()
    mesh.assert_formed()
    clone = mesh.agent(key=original.private_key, private_address="fd10:1::", name="clone")
    assert original.wait() == 4
    assert "a copy of this machine" in original.log_text()
    mesh.assert_formed(clone)


def test_a_copy_with_an_address_of_its_own_takes_over_too(mesh: Mesh) -> None:
    """The newcomer withdraws the record it takes for its own earlier one; the older agent does not fight back."""
    original = mesh.agent()
    mesh.assert_formed()
    clone = mesh.agent(key=original.private_key, private_address="fd10:9::")
    assert original.wait() == 4
    assert "a copy of this machine" in original.log_text()
    eventually(lambda: mesh.read("fd10:1::/48") is None)  # the older agent may end before the record is deleted
    mesh.assert_formed(clone)


def test_ikto_0_3_0_and_its_records_share_the_bucket(mesh: Mesh) -> None:
    """Records exactly as 0.3.0 writes them, host bits and all, become peers; ours read the same way there."""
    agent = mesh.agent()
    mesh.assert_formed()
    foreign = PrivateKey.generate().public()
    value = json.dumps(
        {
            "name": "go",
            "public_key": foreign.text,
            "advertise_address": "198.51.100.1",
            "allowed_ip": "fd10:aa::1/48",
            "wg_port": 51820,
        }
    )
    mesh.write(record_key("fd10:aa::1/48"), value.encode())

    def peered() -> bool:
        device = agent.admin.status().device
        assert device
        return [(peer.public_key, peer.allowed_ips) for peer in device.peers] == [(foreign.text, ("fd10:aa::/48",))]

    eventually(peered)
    ours = json.loads(mesh.read("fd10:1::/48") or b"")
    assert {k: ours[k] for k in ("name", "public_key", "advertise_address", "allowed_ip", "wg_port")} == {
        "name": "node-1",
        "public_key": agent.public_key.text,
        "advertise_address": "192.0.2.1",
        "allowed_ip": "fd10:1::/48",
        "wg_port": 51820,
    }


def test_a_node_of_0_3_0_keeps_every_peer_while_its_own_are_replaced_and_move(mesh: Mesh) -> None:
    """The documented way from 0.3.0: key and configuration stay. Then the node gets another address."""
    node = mesh.agent(start=False)
    old, members = "fd10:1::1/48", ("name", "public_key", "advertise_address", "allowed_ip", "wg_port")
    record = json.loads(encode_record(record_of(node, old)))
    mesh.write(record_key(old), json.dumps({member: record[member] for member in members}).encode())
    with following_as_0_3_0(mesh.url, mesh.name) as go:
        eventually(lambda: go.node.reaches(node.public_key.text, "fd10:1::/48"))
        node.start()
        eventually(lambda: mesh.read(old) is None and go.node.reaches(node.public_key.text, "fd10:1::/48"))
        node.stop()
        node.config["private_address"] = "fd10:9::"
        node.start()
        eventually(lambda: mesh.read("fd10:1::/48") is None and go.node.reaches(node.public_key.text, "fd10:9::/48"))
        mesh.write(record_key("fd10:9::7/48"), encode_record(record_of(node, "fd10:9::7/48")))
        mesh.write(record_key("fd10:9::7/48"), None)
        revision = mesh.on_bucket(lambda bucket: bucket.info()).last_revision
        eventually(lambda: go.revision >= revision and go.node.reaches(node.public_key.text, "fd10:9::/48"))
        assert go.node.peers == {node.public_key.text}


def garbage(good: AgentProcess) -> list[tuple[str, bytes]]:
    def valid(allowed_ip: str, **changes: object) -> bytes:
        return encode_record(record_of(good, allowed_ip, public_key=PrivateKey.generate().public(), **changes))

    return [
        (record_key("fd10:b1::/48"), b"{not json"),
        (record_key("fd10:b2::/48"), b""),
        (record_key("fd10:b3::/48"), b"\xff\xfe"),
        (record_key("fd10:b4::/48"), b"[" * MAX_RECORD_BYTES),
        (record_key("fd10:b5::/48"), b'{"x":' * 2_000 + b"1" + b"}" * 2_000),
        (record_key("fd10:b6::/48"), b'{"name":"' + b"a" * MAX_RECORD_BYTES + b'"}'),
        (record_key("fd10:b7::/48"), valid("fd10:b8::/48")),
        (record_key("0.0.0.0/0"), valid("0.0.0.0/0")),
        (record_key("::/0"), valid("::/0")),
        (record_key("fd10::/16"), valid("fd10::/16")),
        (record_key("fd10:1:0:5::/64"), valid("fd10:1:0:5::/64")),
        (record_key("fd10:2::9/48"), valid("fd10:2::9/48")),
        (record_key("fd99::/48"), valid("fd99::/48")),
        (record_key("fd10:b9::/48"), json.dumps({"name": "half"}).encode()),
        ("peers.not-base64!", valid("fd10:ba::/48")),
        ("peers.AAAA", valid("fd10:bb::/48")),
        ("peers.deeper.than.expected", b"{}"),
        ("something-else", b"\x00"),
    ]


def test_a_bucket_full_of_garbage_harms_no_good_peer(mesh: Mesh) -> None:
    first, second = mesh.agent(), mesh.agent()
    mesh.assert_formed()
    rubbish = garbage(first)
    for key, value in rubbish:
        mesh.write(key, value)
    third = mesh.agent()
    statuses = mesh.assert_formed(first, second, third)
    for status in statuses:
        assert len(status.quarantined) == len(rubbish) - 1, "all but the key that is no record's"
        assert all(record.reason for record in status.quarantined)
    reasons = {record.allowed_ip: record.reason for record in statuses[1].quarantined}
    assert "'node-1'" in reasons["fd10:1:0:5::/64"], "the reason names the winner"


def test_an_agent_whose_socket_file_was_removed_can_be_asked_again(mesh: Mesh) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    agent.socket.unlink()
    mesh.assert_formed()
    assert "socket file was removed, listening again" in agent.log_text()


def test_a_device_whose_name_is_changed_leaves_no_other_behind_that_has_the_port(mesh: Mesh) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    agent.stop()
    agent.config["wg_dev_name"] = "wg1"
    agent.start()
    mesh.assert_formed()
    assert {path.name for path in Path(agent.config["state_dir"]).glob("fake-*")} == {"fake-wg1.json"}
    assert agent.admin.status().ifname == "wg1"


def test_an_agent_whose_log_can_not_be_written_goes_on(mesh: Mesh) -> None:
    agent = mesh.agent(start=False)
    agent.log = Path("/dev/full")
    agent.start()
    mesh.assert_formed()
    assert agent.stop() == 0


def test_agents_make_no_consumers(mesh: Mesh) -> None:
    """Those of watchers pile up, and a stream has a limit of them."""
    for _ in range(3):
        mesh.agent()
    mesh.assert_formed()
    assert mesh.on_bucket(lambda bucket: bucket.stream_info()).state.consumer_count == 0


def test_signals_that_ask_for_nothing_end_no_agent(mesh: Mesh) -> None:
    agent = mesh.agent()
    mesh.assert_formed()
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        agent.send(number)
    eventually(lambda: all(f"signal=SIGUSR{which}" in agent.log_text() for which in (1, 2)))
    mesh.assert_formed()
    assert agent.stop() == 0


@pytest.mark.slow
def test_sighup_applies_what_can_change_and_names_what_needs_a_restart(mesh: Mesh) -> None:
    agent, other = mesh.agent(), mesh.agent()
    mesh.assert_formed()

    def endpoints() -> tuple[str, ...]:
        return other.admin.peers().peers[0].endpoints

    def reload(text: str, event: str) -> str:
        before = len(agent.log_text())
        (agent.directory / "config.json").write_text(text)
        agent.send(signal.SIGHUP)
        eventually(lambda: event in agent.log_text()[before:])
        return agent.log_text()[before:]

    changes: dict[str, Any] = {"mtu": 1400, "wg_port": 7, "advertise_address": "192.0.2.77", "log_level": "debug"}
    said = reload(json.dumps(agent.config | changes), "configuration read again")
    assert "applied=['advertise_address', 'log_level']" in said
    assert "restart_needed_for=['wg_port', 'mtu']" in said
    eventually(lambda: endpoints() == ("192.0.2.77:51820",))
    listed = ["198.51.100.1:7", "[2001:db8::1]:7"]
    reload(json.dumps(agent.config | {"endpoints": listed}), "configuration read again")
    eventually(lambda: endpoints() == tuple(listed))
    agent.admin.rotate_key()
    eventually(lambda: other.admin.peers().peers[0].public_key != str(agent.public_key))
    assert endpoints() == tuple(listed), "they outlive a rotation"
    for broken in ("{}", "{", json.dumps(agent.config | {"endpoints": ["fd10:1::1:7"], "log_level": "all"})):
        said = reload(broken, "configuration can't be used, nothing changes")
        assert said.count("[warning") == 1
    assert endpoints() == tuple(listed)
    assert agent.stop() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd's credentials belong to root")
@pytest.mark.parametrize("loaded", [True, False])
def test_a_key_that_systemd_loads_is_used(
    mesh: Mesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, loaded: bool
) -> None:
    """It has mode 0440 and is root's (`LoadCredential=`); anywhere else there is a warning."""
    if loaded:
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    agent = mesh.agent(start=False)
    key = (agent.directory / "key").replace(tmp_path / "private.key")
    key.chmod(0o440)
    agent.config["private_key_path"] = str(key)
    agent.start()
    mesh.assert_formed()
    assert ("has mode 0440, which lets other users read it" in agent.log_text()) is not loaded
